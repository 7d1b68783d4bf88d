"""Spreadsheets (``.xlsx``, ``.xls``, ``.xlsb``, ``.ods``): the first sheet that has cells."""

from __future__ import annotations

import datetime
import io
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from auxfold.data.header import drop_unnamed_columns, placeholder_names
from auxfold.data.typed_cells import values_text
from auxfold.errors import InputError

EXACT = 10**15  # a spreadsheet keeps 15 digits of a number


@dataclass(frozen=True)
class Sheet:
    """The cells of a sheet.

    Attributes:
        header: the names of all columns.
        rows: the values below it, without blank rows.
        notes: what a person should know, such as other sheets.
    """

    header: list[str]
    rows: list[list[Any]]
    notes: list[str]


def open_spreadsheet(content: pa.Buffer) -> Sheet:
    """The first sheet that has cells.

    Raises:
        InputError: python-calamine is not installed.
        ValueError: no spreadsheet, or an empty one.
    """
    sheets = {name: rows for name, rows in _read_sheets(content).items() if rows}
    if not sheets:
        raise ValueError("it has no cells")
    name, *others = sheets
    first, *rows = sheets[name]
    notes = [f"read from sheet {name!r}; not read: {', '.join(map(repr, others))}"]
    header = values_text(first, "header").to_pylist()
    return Sheet(header, rows, notes if others else [])


def read_sheet(sheet: Sheet, columns: list[str] | None) -> pa.Table:
    """The columns of a sheet as strings.

    Args:
        sheet: the result of :func:`open_spreadsheet`.
        columns: the columns to read, of which those that the sheet lacks are left out; None: all
            that have a name.

    Raises:
        ValueError: two columns of one name, or a number of which the spreadsheet may have lost
            digits.
    """
    return drop_unnamed_columns(sheet_table(sheet, columns))


def sheet_table(sheet: Sheet, columns: list[str] | None = None) -> pa.Table:
    """The same, with columns without a name as ``header.placeholder_names`` calls them.

    Raises:
        ValueError: as :func:`read_sheet`.
    """
    table = {}
    for index, name in enumerate(placeholder_names(sheet.header)):
        if columns is not None and name not in columns:
            continue
        if name in table:
            raise ValueError(f"two columns are called {name!r}")
        values = (row[index] for row in sheet.rows)
        table[name] = values_text([_cell(v, name, n) for n, v in enumerate(values)], name)
    return pa.table(table)


def _read_sheets(content: pa.Buffer) -> dict[str, list[list[Any]]]:
    """The rows of every sheet that have values."""
    try:
        from python_calamine import CalamineError, CalamineWorkbook  # an extra
    except ImportError:
        raise InputError(
            'spreadsheets are read with python-calamine: pip install "auxfold[excel]"'
        ) from None
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(content.to_pybytes()))
        sheets = {name: workbook.get_sheet_by_name(name) for name in workbook.sheet_names}
    except CalamineError as error:
        raise ValueError(f"it is no readable spreadsheet ({error})") from None
    return {
        name: [row for row in sheet.to_python() if any(value != "" for value in row)]
        for name, sheet in sheets.items()
    }


def _cell(value: Any, column: str, row: int) -> Any:
    """The value, a time at midnight as a date; Excel stores both as one number."""
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date()
    if isinstance(value, float) and EXACT <= abs(value) <= 2.0**64:
        raise ValueError(
            f"column {column!r}, row {row + 1}: a spreadsheet keeps 15 digits of a number, so "
            f"{value:.15g} may have lost some; store the column as text"
        )
    return value
