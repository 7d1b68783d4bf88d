"""Columns of a file as strings, exactly as the file has them, or an error that names the place."""

from __future__ import annotations

import csv
import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from auxfold.data.compressed import COMPRESSIONS, check_archive, read_content
from auxfold.data.encoding import decode_text
from auxfold.data.header import describe_unnamed, header_looks_like_data
from auxfold.data.json_lines import read_json_keys, read_json_lines
from auxfold.data.paths import check_exists
from auxfold.data.separated import SEPARATORS, Dialect, detect_dialect, read_separated, read_unnamed
from auxfold.data.spreadsheet import Sheet, open_spreadsheet, read_sheet, sheet_table
from auxfold.data.typed_cells import cell_text, check_exact_floats, column_text
from auxfold.data.unpack_limit import UnpackLimit
from auxfold.errors import InputError, nearest

SPREADSHEETS = ("xlsx", "xls", "xlsb", "ods")
FORMATS = ("csv", "tsv", "parquet", "jsonl", *SPREADSHEETS)
SAMPLE = 1000  # rows of a spreadsheet to which its first row is compared
UNREADABLE = (
    ValueError, OSError, KeyError, EOFError, csv.Error, zipfile.BadZipFile, zlib.error
)  # fmt: skip
_INDEX_NAME = re.compile(r"__index_level_\d+__")  # what pandas calls an index without a name


@dataclass(frozen=True)
class FileFormat:
    """How a file is written.

    Attributes:
        kind: one of ``FORMATS``.
        encoding: of a text file, the name for Python.
        separator: of a csv or tsv file.
        header_is_data: whether the first row looks like the rows below it.
        notes: what a person should know, such as "read as CP1252".
    """

    kind: str
    encoding: str | None = None
    separator: str | None = None
    header_is_data: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Options:
    """The options of :func:`read_columns`."""

    encoding: str | None
    separator: str | None
    max_unpacked_gb: float | None


@dataclass(frozen=True)
class _TextFile:
    """A csv, tsv or jsonl file, decoded; ``dialect`` is that of csv and tsv."""

    content: pa.Buffer
    format: FileFormat
    dialect: Dialect | None = None


def read_columns(
    path: str | Path,
    columns: list[str] | None = None,
    *,
    encoding: str | None = None,
    separator: str | None = None,
    max_unpacked_gb: float | None = None,
) -> pd.DataFrame:
    """Columns of a csv, tsv, parquet, jsonl or spreadsheet file, every value a string.

    A missing value is the empty string. Values that are not text become text as
    :mod:`auxfold.data.typed_cells` says.

    Args:
        path: the file, which may be compressed (``.gz``, ``.zip``, ``.zst``).
        columns: the columns to read; None: all that have a name.
        encoding: the encoding of a text file that is not UTF-8; None: detected.
        separator: the character between the columns of a csv or tsv file; None: detected.
        max_unpacked_gb: the most that a compressed file may hold; None: what free memory and disk
            can hold.

    Raises:
        InputError: no such file, an unknown format, an unreadable or empty file, a missing
            column (with the nearest name), a value that has no text; or a compressed file that
            holds too much.
    """
    path = check_exists(path)
    try:
        header, table = _read(path, columns, _Options(encoding, separator, max_unpacked_gb))
    except UNREADABLE as error:
        raise _unreadable(path, error) from None
    if columns is not None:
        _require_columns(header, columns, path)
        table = table.select(list(dict.fromkeys(columns)))
    if table.num_rows == 0:
        raise InputError(f"{path} has no rows")
    return table.to_pandas()


def read_header(
    path: str | Path,
    *,
    encoding: str | None = None,
    separator: str | None = None,
    max_unpacked_gb: float | None = None,
) -> list[str]:
    """The names of a file's columns, without columns that have none.

    Only of a jsonl file, whose rows may differ, are all rows parsed.

    Raises:
        InputError: no such file, an unknown format, or an unreadable file.
    """
    path = check_exists(path)
    try:
        options = _Options(encoding, separator, max_unpacked_gb)
        return [name for name in _read_header(path, options) if name]
    except UNREADABLE as error:
        raise _unreadable(path, error) from None


def detect_format(
    path: str | Path,
    *,
    encoding: str | None = None,
    separator: str | None = None,
    max_unpacked_gb: float | None = None,
) -> FileFormat:
    """How a file is written.

    Raises:
        InputError: as :func:`read_header`.
    """
    path, options = check_exists(path), _Options(encoding, separator, max_unpacked_gb)
    try:
        kind = _kind(path)
        if kind in SPREADSHEETS:
            sheet = _open_sheet(path, options)
            sample = [list(map(cell_text, row)) for row in sheet.rows[:SAMPLE]]
            header_is_data = header_looks_like_data(sheet.header, sample)
            notes = (*sheet.notes, *describe_unnamed(sheet_table(sheet)))
            return FileFormat(kind, header_is_data=header_is_data, notes=notes)
        if kind == "parquet":
            return FileFormat(kind)
        file = _open_text(path, kind, options)
        if file.dialect is None or "" not in file.dialect.header:
            return file.format
        unnamed = describe_unnamed(read_unnamed(file.content, file.dialect))
        return replace(file.format, notes=(*file.format.notes, *unnamed))
    except UNREADABLE as error:
        raise _unreadable(path, error) from None


def describe_format(
    path: str | Path,
    *,
    encoding: str | None = None,
    separator: str | None = None,
    max_unpacked_gb: float | None = None,
) -> list[str]:
    """Lines on what was detected in a file that is not as its name says; usually none.

    Raises:
        InputError: as :func:`read_header`.
    """
    path = Path(path)
    options = _Options(encoding, separator, max_unpacked_gb)
    file_format = detect_format(path, **vars(options))
    lines = [f"{path.name}: {note}" for note in file_format.notes]
    if file_format.header_is_data:
        header = read_header(path, **vars(options))
        names = ", ".join(repr(name[:30]) for name in header[:3])
        lines.append(
            f"warning: {path.name}: the first row looks like data rather than names of columns "
            f"({names}); put a row of names above it"
        )
    return lines


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} cannot be read: {summarize_error(error)}")


def _kind(path: Path) -> str:
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    kind = suffixes[-1].lstrip(".") if suffixes else ""
    if kind not in FORMATS:
        raise InputError(
            f"{path}: unknown format; expected {', '.join(FORMATS)} (or {', '.join(COMPRESSIONS)})"
        )
    return kind


def _read(path: Path, columns: list[str] | None, options: _Options) -> tuple[list[str], pa.Table]:
    """The header and those of the columns that the file has."""
    kind = _kind(path)
    if kind == "parquet":
        return _read_parquet(path, columns, options)
    if kind in SPREADSHEETS:
        sheet = _open_sheet(path, options)
        return sheet.header, read_sheet(sheet, columns)
    file = _open_text(path, kind, options)
    if file.dialect is not None:
        return file.dialect.header, read_separated(file.content, file.dialect, columns)
    table = read_json_lines(file.content, columns)
    missing = set(columns or []) - set(table.column_names)
    return read_json_keys(file.content) if missing else table.column_names, table


def _read_header(path: Path, options: _Options) -> list[str]:
    kind = _kind(path)
    if kind == "parquet":
        return _parquet_header(_open_parquet(path, options))
    if kind in SPREADSHEETS:
        return _open_sheet(path, options).header
    file = _open_text(path, kind, options)
    return read_json_keys(file.content) if file.dialect is None else file.dialect.header


def _open_text(path: Path, kind: str, options: _Options) -> _TextFile:
    text = decode_text(read_content(path, options.max_unpacked_gb), options.encoding)
    notes = [f"read as {text.note}"] if text.note else []
    if kind == "jsonl":
        return _TextFile(text.content, FileFormat(kind, text.encoding, notes=tuple(notes)))
    default = "," if kind == "csv" else "\t"
    dialect = detect_dialect(text.content, default, options.separator)
    if dialect.separator not in (default, options.separator):
        name = SEPARATORS.get(dialect.separator, repr(dialect.separator))
        notes.append(f"read with {name} between the columns")
    if dialect.escapes:
        notes.append('read with \\" for a quote inside of a text')
    header_is_data = header_looks_like_data(dialect.header, dialect.rows)
    file_format = FileFormat(kind, text.encoding, dialect.separator, header_is_data, tuple(notes))
    return _TextFile(text.content, file_format, dialect)


def _open_sheet(path: Path, options: _Options) -> Sheet:
    check_archive(path, options.max_unpacked_gb)
    return open_spreadsheet(read_content(path, options.max_unpacked_gb))


def _open_parquet(path: Path, options: _Options) -> pq.ParquetFile:
    return pq.ParquetFile(pa.BufferReader(read_content(path, options.max_unpacked_gb)))


def _read_parquet(
    path: Path, columns: list[str] | None, options: _Options
) -> tuple[list[str], pa.Table]:
    file = _open_parquet(path, options)
    header = _parquet_header(file)
    names = header if columns is None else [c for c in dict.fromkeys(columns) if c in header]
    UnpackLimit.choose(options.max_unpacked_gb).check(path, _unpacked_size(file, names))
    table = file.read(names)
    texts = {}
    for name in names:
        if columns is not None:
            check_exact_floats(table[name], name)
        texts[name] = column_text(table[name], name)
    return header, pa.table(texts)


def _unpacked_size(file: pq.ParquetFile, names: list[str]) -> int:
    """The bytes of columns of a parquet file, decompressed, as its footer says."""
    groups = (file.metadata.row_group(index) for index in range(file.num_row_groups))
    chunks = (group.column(index) for group in groups for index in range(group.num_columns))
    return sum(
        chunk.total_uncompressed_size
        for chunk in chunks
        if chunk.path_in_schema.split(".")[0] in names
    )


def _parquet_header(file: pq.ParquetFile) -> list[str]:
    return [name for name in file.schema_arrow.names if not _INDEX_NAME.fullmatch(name)]


def summarize_error(error: Exception, with_type: bool = False) -> str:
    """The message of an error in one line, cut at 300 characters, since Arrow quotes whole rows.

    Args:
        error: any exception.
        with_type: whether the exception's type comes first; without a message it is the result.
    """
    message, name = " ".join(str(error).split()), type(error).__name__
    if with_type:
        message = f"{name}: {message}"
    message = message or name
    return message if len(message) <= 300 else message[:300] + " …"


def _require_columns(header: list[str], columns: list[str], path: Path) -> None:
    missing = [column for column in columns if column not in header]
    if missing:
        raise InputError(
            f"{path} has no column {missing[0]!r}{nearest(missing[0], header)}; "
            f"its columns are {format_list([name for name in header if name])}"
        )


def format_list(names: Sequence[str]) -> str:
    """The first 20 names, separated by commas, for an error message."""
    return f"{', '.join(names[:20])}{', …' if len(names) > 20 else ''}"
