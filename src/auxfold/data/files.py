"""Columns of a file as strings, exactly as the file has them, or an error that names the place."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from auxfold.data.paths import check_exists
from auxfold.errors import InputError, nearest

FORMATS = ("csv", "tsv", "parquet", "jsonl")
COMPRESSIONS = (".gz", ".zip")
BLOCK = 2**26  # bytes that are parsed at once; no row may be longer
UNREADABLE = (
    ValueError, OSError, KeyError, EOFError, csv.Error, zipfile.BadZipFile, zlib.error
)  # fmt: skip
UNCLOSED_QUOTE = (
    '; a quote (") opens a text there that no quote closes: double it, or quote the whole text'
)


def read_columns(path: str | Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Columns of a csv, tsv, parquet or jsonl file (``.gz``, ``.zip``), every value a string.

    A missing value is the empty string. ``columns=None`` reads all columns.

    Raises:
        InputError: no such file, an unknown format, an unreadable or empty file, a missing
            column (with the nearest name).
    """
    path = check_exists(path)
    try:
        frame = _read(path, _format(path), columns)
    except UNREADABLE as error:
        raise InputError(f"{path} cannot be read: {summarize_error(error)}") from None
    if columns is not None:
        _require_columns(frame, columns, path)
        frame = frame[list(dict.fromkeys(columns))]
    if len(frame) == 0:
        raise InputError(f"{path} has no rows")
    return frame


def read_header(path: str | Path) -> list[str]:
    """The column names of a file.

    Only of a jsonl file, whose rows may differ, are all rows parsed.

    Raises:
        InputError: no such file, an unknown format, or an unreadable file.
    """
    path = check_exists(path)
    try:
        return _read_header(path)
    except UNREADABLE as error:
        raise InputError(f"{path} cannot be read: {summarize_error(error)}") from None


def _format(path: Path) -> str:
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    kind = suffixes[-1].lstrip(".") if suffixes else ""
    if kind not in FORMATS:
        raise InputError(f"{path}: unknown format; expected {', '.join(FORMATS)} (.gz, .zip)")
    return kind


def _read(path: Path, kind: str, columns: list[str] | None) -> pd.DataFrame:
    if kind in ("csv", "tsv"):
        return _read_separated(path, "," if kind == "csv" else "\t", columns)
    frame = pd.read_parquet(path) if kind == "parquet" else _read_lines(path)
    if columns is not None:
        frame = frame[[c for c in dict.fromkeys(columns) if c in frame.columns]]
    return frame.apply(as_strings)


def _read_lines(path: Path) -> pd.DataFrame:
    return pd.read_json(path, lines=True, dtype=False, convert_dates=False)


def _read_separated(path: Path, separator: str, columns: list[str] | None) -> pd.DataFrame:
    """All values are strings: a text "NA" stays a text, an id "007" keeps its zeros.

    Arrow parses the file rather than pandas, which fills short rows and drops or shifts surplus
    fields.
    """
    content = _read_bytes(path)
    header = _first_line(content, separator)
    names = header if columns is None else [c for c in dict.fromkeys(columns) if c in header]
    repeated = [name for name in names if header.count(name) > 1]
    if repeated:
        raise ValueError(f"two columns are called {repeated[0]!r}")
    table = _parse(content, separator, names)
    if _count_lines(content) > len(table) + 1:  # a text has several lines, or a quote is not closed
        _check_quotes(content, separator)
    return table.to_pandas()


def _parse(content: pa.Buffer, separator: str, columns: list[str]) -> pa.Table:
    def read(threads: bool) -> pa.Table:
        return pa_csv.read_csv(
            pa.BufferReader(content),
            read_options=pa_csv.ReadOptions(block_size=BLOCK, use_threads=threads),
            parse_options=pa_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                include_columns=columns,
                column_types={name: pa.large_string() for name in columns},
                strings_can_be_null=False,
            ),
        )

    try:
        return read(threads=True)
    except pa.ArrowInvalid:
        return read(threads=False)  # fails again, but this time the error names the row


def _read_bytes(path: Path) -> pa.Buffer:
    if path.suffix.lower() == ".gz":
        return pa.py_buffer(gzip.decompress(path.read_bytes()))
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            files = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
            if len(files) != 1:
                raise ValueError(f"expected one file in it, found {len(files)}")
            return pa.py_buffer(archive.read(files[0]))
    return pa.memory_map(str(path)).read_buffer()


def _first_line(content: pa.Buffer, separator: str) -> list[str]:
    start = content.slice(0, min(len(content), BLOCK)).to_pybytes()
    lines = csv.reader(io.StringIO(start.decode("utf-8-sig", "replace")), delimiter=separator)
    return next((line for line in lines if line), [])


def _count_lines(content: pa.Buffer) -> int:
    """Line ends in the file, and one more where the last line has none."""
    starts = range(0, len(content), BLOCK)
    blocks = (
        content.slice(start, min(BLOCK, len(content) - start)).to_pybytes() for start in starts
    )
    last_byte = content.slice(len(content) - 1).to_pybytes() if len(content) else b""
    return sum(block.count(b"\n") for block in blocks) + (last_byte != b"\n")


def _check_quotes(content: pa.Buffer, separator: str) -> None:
    """Refuse a quote that opens a text by chance and so swallows the rows that follow.

    In strict csv, every quote is closed, and a separator or the end of the line follows the closing
    quote. The quotes of a swallowed row break that rule.
    """
    text = io.TextIOWrapper(io.BufferedReader(pa.BufferReader(content)), "utf-8-sig", newline="")
    limit = csv.field_size_limit(2**31 - 1)
    rows = csv.reader(text, delimiter=separator, strict=True)
    line = 0
    try:
        for _ in rows:
            line = rows.line_num
    except csv.Error as error:
        raise ValueError(f"line {line + 1}: {error}{UNCLOSED_QUOTE}") from None
    finally:
        csv.field_size_limit(limit)


def as_strings(values: pd.Series) -> pd.Series:
    """A column's values as strings, missing ones as empty strings and lists as JSON.

    Raises:
        ValueError: the column holds bytes.
    """
    if values.map(lambda value: isinstance(value, bytes)).any():
        raise ValueError(f"column {values.name!r} holds bytes, not text")
    return values.map(_as_string)


def _as_string(value: Any) -> str:
    if isinstance(value, list | tuple | np.ndarray):
        return json.dumps(np.asarray(value, dtype=object).tolist(), default=str)
    return "" if pd.isna(value) else str(value)


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


def _require_columns(frame: pd.DataFrame, columns: list[str], path: Path) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if not missing:
        return
    header = _read_header(path)
    raise InputError(
        f"{path} has no column {missing[0]!r}{nearest(missing[0], header)}; "
        f"its columns are {format_list(header)}"
    )


def format_list(names: Sequence[str]) -> str:
    """The first 20 names, separated by commas, for an error message."""
    return f"{', '.join(names[:20])}{', …' if len(names) > 20 else ''}"


def _read_header(path: Path) -> list[str]:
    kind = _format(path)
    if kind in ("csv", "tsv"):
        return _first_line(_read_bytes(path), "," if kind == "csv" else "\t")
    if kind == "jsonl":
        return [str(name) for name in _read_lines(path).columns]
    schema = pq.read_schema(path)
    index = (schema.pandas_metadata or {}).get("index_columns", [])
    return [name for name in schema.names if name not in index]
