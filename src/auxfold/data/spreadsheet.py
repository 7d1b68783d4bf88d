"""Spreadsheets: the first sheet of an ``.xlsx``, ``.xls``, ``.xlsb`` or ``.ods`` file."""

from __future__ import annotations

import datetime
from typing import Any

import pyarrow as pa

from auxfold.data.typed_cells import EXACT, values_text
from auxfold.errors import InputError


def read_spreadsheet(
    content: pa.Buffer, columns: list[str] | None = None
) -> tuple[list[str], pa.Table, str | None]:
    """The header, the columns as strings, and a note on sheets that are not read.

    Rows without any value are left out, as blank lines of a CSV file are.

    Args:
        content: the bytes of the file.
        columns: the columns to read, of which those that the sheet lacks are left out; None: all.

    Raises:
        InputError: python-calamine is not installed.
        ValueError: no spreadsheet, two columns of one name, an unnamed column with values, or a
            number of which the spreadsheet has lost digits.
    """
    sheets = _read_sheets(content)
    name, rows = sheets[0]
    rows = [row for row in rows if any(value not in ("", None) for value in row)]
    header = values_text(rows[0], "header").to_pylist() if rows else []
    body = rows[1:]
    table = {}
    for index, column in enumerate(header):
        if columns is not None and column not in columns:
            continue
        values = [row[index] for row in body]
        if not column and all(value in ("", None) for value in values):
            continue
        if not column:
            raise ValueError(f"column {index + 1} has no name but has values; name it in row 1")
        if header.count(column) > 1:
            raise ValueError(f"two columns are called {column!r}")
        table[column] = values_text([_cell(v, column, n) for n, v in enumerate(values)], column)
    others = [sheet for sheet, cells in sheets[1:] if cells]
    note = f"sheet {name!r}; not read: {', '.join(map(repr, others))}" if others else None
    return header, pa.table(table), note


def _read_sheets(content: pa.Buffer) -> list[tuple[str, list[list[Any]]]]:
    """The name and the rows of every sheet."""
    try:
        from python_calamine import CalamineError, CalamineWorkbook  # an extra
    except ImportError:
        raise InputError(
            'spreadsheets are read with python-calamine: pip install "auxfold[excel]"'
        ) from None
    import io

    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(content.to_pybytes()))
        return [(n, workbook.get_sheet_by_name(n).to_python()) for n in workbook.sheet_names]
    except CalamineError as error:
        raise ValueError(f"it is no readable spreadsheet ({error})") from None


def _cell(value: Any, column: str, row: int) -> Any:
    """The value, a time at midnight as a date; Excel stores both as one number."""
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date()
    if isinstance(value, float) and EXACT <= abs(value) <= 2.0**64:
        raise ValueError(
            f"column {column!r}, row {row + 1}: a spreadsheet keeps 15 digits of a number, so "
            f"{value!r} has lost some; store the column as text"
        )
    return value
