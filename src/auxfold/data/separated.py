"""CSV and TSV: how the columns are separated, and the columns as strings."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from auxfold.data.header import drop_unnamed_columns, is_placeholder, placeholder_names

SEPARATORS = {",": "','", ";": "';'", "\t": "a tab", "|": "'|'"}
BLOCK = 2**26  # bytes that are parsed at once; no row may be longer
HEAD = 2**18  # bytes from which the separator is read
UNCLOSED_QUOTE = (
    '; a quote (") opens a text there that no quote closes: double it, or quote the whole text'
)
BACKSLASH_ADVICE = (
    '; quotes inside of texts are written partly as \\" and partly not, or other backslashes are '
    'plain text: write every quote inside of a text as ""'
)
_SEPARATOR_LINE = re.compile(rb'"?sep=([^"\r\n])"?(?:\r\n|\n|\r)', re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """How a text file separates its columns.

    Attributes:
        separator: one character.
        start: the number of bytes before the header.
        header: the names of all columns.
        rows: the first rows.
        escapes: whether a backslash, not a second quote, is written before a quote in a text.
        suspicious: whether a quote is neither doubled nor next to a separator or line end, so that
            the rules of quoting may be broken; None: they were checked.
        quoted: whether the file has quotes.
    """

    separator: str
    start: int
    header: list[str]
    rows: list[list[str]]
    escapes: bool = False
    suspicious: bool | None = False
    quoted: bool = False


def detect_dialect(content: pa.Buffer, default: str, separator: str | None = None) -> Dialect:
    """The dialect of a file.

    Args:
        content: UTF-8 without a byte order mark.
        default: the separator that the file's name stands for.
        separator: the one to take where the header has it; None: the one that gives every row as
            many fields as the header.

    Raises:
        ValueError: several separators would do, or quotes that cannot be read.
    """
    head = _head(content)
    start = len(head) - len(head.lstrip(b"\r\n"))
    line = _SEPARATOR_LINE.match(head, start)
    if line:
        start, separator = line.end(), line[1].decode()
    is_truncated = len(content) > len(head)
    text = head[start:].decode(errors="ignore")
    separator = _choose_separator(text, is_truncated, default, separator)
    header, *rows = _head_rows(text, separator, is_truncated) or [[]]
    is_quoted, is_suspicious, is_escaped = _look_at_quotes(content.slice(start), separator)
    dialect = Dialect(separator, start, header, rows, False, is_suspicious, is_quoted)
    return _check_escapes(content, dialect) if is_escaped else dialect


def read_separated(content: pa.Buffer, dialect: Dialect, columns: list[str] | None) -> pa.Table:
    """The columns of a file as strings: a text "NA" stays a text, an id "007" keeps its zeros.

    Arrow parses the file rather than pandas, which fills short rows and drops or shifts surplus
    fields.

    Args:
        content: UTF-8 without a byte order mark.
        dialect: the result of :func:`detect_dialect`.
        columns: the columns to read, of which those that the file lacks are left out; None: all
            that have a name.

    Raises:
        ValueError: a row with another number of fields than the header, a quote that nothing
            closes, or two columns of one name.
    """
    header = dialect.header
    counts = Counter(header)
    names = list(counts) if columns is None else [c for c in dict.fromkeys(columns) if c in counts]
    repeated = [name for name in names if name and counts[name] > 1]
    if repeated:
        raise ValueError(f"two columns are called {repeated[0]!r}")
    content = content.slice(dialect.start)
    table = _parse(content, dialect, names)
    if _may_be_misread(content, dialect, len(table)):
        _check_quotes(content, dialect)
    return drop_unnamed_columns(table) if "" in names else table


def read_unnamed(content: pa.Buffer, dialect: Dialect) -> pa.Table:
    """The columns without a name, called as :func:`~auxfold.data.header.placeholder_names` says.

    Raises:
        ValueError: as :func:`read_separated`.
    """
    table = _parse(content.slice(dialect.start), dialect, [""])
    return table.select([name for name in table.column_names if is_placeholder(name)])


def _parse(content: pa.Buffer, dialect: Dialect, names: list[str]) -> pa.Table:
    """The columns; unnamed ones, if there are any, with their placeholders."""
    unique: dict[str, Any] = {}
    if "" in names:
        unique["column_names"] = placeholder_names(dialect.header)
        unique["skip_rows_after_names"] = 1
        names = unique["column_names"]

    def read(threads: bool) -> pa.Table:
        return pa_csv.read_csv(
            pa.BufferReader(content),
            read_options=pa_csv.ReadOptions(block_size=BLOCK, use_threads=threads, **unique),
            parse_options=pa_csv.ParseOptions(
                delimiter=dialect.separator,
                escape_char="\\" if dialect.escapes else False,
                newlines_in_values=True,
                ignore_empty_lines=len(dialect.header) > 1,  # else, they are empty cells
            ),
            convert_options=pa_csv.ConvertOptions(
                check_utf8=False,  # it was checked when the encoding was found
                include_columns=names,
                column_types={name: pa.large_string() for name in names},
                strings_can_be_null=False,
            ),
        )

    try:
        return read(threads=True)
    except pa.ArrowInvalid:
        return read(threads=False)  # fails again, but this time the error names the row


def _head(content: pa.Buffer) -> bytes:
    """The first rows, or more where a header of very many columns takes more."""
    head = content.slice(0, min(HEAD, len(content))).to_pybytes()
    if re.search(rb"[^\r\n][\r\n]", head):
        return head
    return content.slice(0, min(BLOCK, len(content))).to_pybytes()


def _choose_separator(text: str, is_truncated: bool, default: str, separator: str | None) -> str:
    counts = {}
    for candidate in dict.fromkeys([default, *SEPARATORS, *([separator] if separator else [])]):
        with suppress(csv.Error):  # a field of the header is too long
            counts[candidate] = [len(row) for row in _head_rows(text, candidate, is_truncated)]
    counts = {c: fields for c, fields in counts.items() if fields[0] > 1}
    if separator in counts:
        return separator
    regular = [c for c, fields in counts.items() if len(set(fields)) == 1]
    if default in regular or (not regular and default in counts):
        return default
    mostly = [c for c, fields in counts.items() if fields.count(fields[0]) > len(fields) / 2]
    candidates = regular or mostly
    if len(candidates) > 1:
        names = " or ".join(SEPARATORS.get(c, repr(c)) for c in candidates)
        raise ValueError(f"{names} could separate the columns; name one with data.separator")
    return candidates[0] if candidates else default


def _head_rows(
    text: str, separator: str, is_truncated: bool, escapechar: str | None = None
) -> list[list[str]]:
    """The header and the first rows, without the last one where the text ends within it."""
    source = io.StringIO(text, newline="")
    lines = csv.reader(source, delimiter=separator, escapechar=escapechar)
    rows = [next((line for line in lines if line), [])]  # a field of the header has a limit
    with _long_fields():
        rows += [line for line in lines if line]
    return rows[:-1] if is_truncated and len(rows) > 1 else rows


def _blocks(content: pa.Buffer) -> Iterator[np.ndarray]:
    """The bytes of the content, in blocks that overlap by two bytes."""
    data = np.frombuffer(content, dtype=np.uint8)
    return (data[start : start + BLOCK + 2] for start in range(0, len(data), BLOCK))


def _look_at_quotes(content: pa.Buffer, separator: str) -> tuple[bool, bool, bool]:
    """Whether there are quotes, some in the middle of a text, and some after a backslash."""
    edges = np.zeros(256, dtype=bool)
    edges[list(f'"\r\n{separator}'.encode())] = True
    is_quoted = is_suspicious = is_escaped = False
    for block in _blocks(content):
        quotes = np.flatnonzero(block == ord('"'))
        is_quoted |= len(quotes) > 0
        quotes = quotes[(quotes > 0) & (quotes < len(block) - 1)]
        before, after = block[quotes - 1], block[quotes + 1]
        is_suspicious |= bool((~edges[before] & ~edges[after]).any())
        is_escaped |= bool((before == ord("\\")).any())
    return is_quoted, is_suspicious, is_escaped


def _check_escapes(content: pa.Buffer, dialect: Dialect) -> Dialect:
    r"""Whether quotes inside of texts are written as ``\"`` instead of ``""``."""
    content = content.slice(dialect.start)
    error, is_regular = _scan(content, dialect)
    if error is None and is_regular:
        return replace(dialect, suspicious=None)
    escaped = replace(dialect, escapes=True, suspicious=None)
    escape_error, is_regular = _scan(content, escaped)
    if escape_error is None and is_regular and not _has_other_backslashes(content):
        head = _head(content)
        text, is_truncated = head.decode(errors="ignore"), len(content) > len(head)
        rows = _head_rows(text, dialect.separator, is_truncated, escapechar="\\")
        return replace(escaped, rows=rows[1:])
    if error is None:
        return dialect
    raise ValueError(f"{error}{BACKSLASH_ADVICE}")


def _has_other_backslashes(content: pa.Buffer) -> bool:
    """Whether a backslash is written before something else, so that it may be a plain character."""
    text = content.to_pybytes().replace(b"\\\\", b"")
    return re.search(rb'\\[^"]', text) is not None


def _may_be_misread(content: pa.Buffer, dialect: Dialect, n_rows: int) -> bool:
    """Whether a quote may have opened a text by chance, or a text has several lines."""
    if dialect.suspicious is None or not dialect.quoted:
        return False
    return dialect.suspicious or _count_lines(content) > n_rows + 1


def _count_lines(content: pa.Buffer) -> int:
    """Line ends in the file, and one more where the last line has none."""
    n_lines, last_byte = 0, 0
    for block in _blocks(content):
        block, following = block[:BLOCK], block[1 : BLOCK + 1]
        n_lines += int(np.count_nonzero(block == ord("\n")))
        returns = np.flatnonzero(block[: len(following)] == ord("\r"))
        n_lines += int(np.count_nonzero(following[returns] != ord("\n")))
        last_byte = block[-1]
    return n_lines + (last_byte != ord("\n"))


def _check_quotes(content: pa.Buffer, dialect: Dialect) -> None:
    """Refuse a quote that opens a text by chance and so swallows the rows that follow.

    In strict csv, every quote is closed, and a separator or the end of the line follows the closing
    quote. The quotes of a swallowed row break that rule.
    """
    error, _ = _scan(content, dialect)
    if error is not None:
        raise ValueError(error)


def _scan(content: pa.Buffer, dialect: Dialect) -> tuple[str | None, bool]:
    """What breaks the rules of strict csv, if something does, and whether all rows are as long."""
    text = io.TextIOWrapper(io.BufferedReader(pa.BufferReader(content)), "utf-8", newline="")
    rows = csv.reader(
        text,
        delimiter=dialect.separator,
        escapechar="\\" if dialect.escapes else None,
        strict=True,
    )
    n_fields, is_regular, line = len(dialect.header), True, 0
    with _long_fields():
        try:
            for row in rows:
                is_regular &= len(row) in (n_fields, 0)
                line = rows.line_num
        except csv.Error as error:
            return f"line {line + 1}: {error}{UNCLOSED_QUOTE}", False
    return None, is_regular


@contextmanager
def _long_fields() -> Iterator[None]:
    limit = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(limit)
