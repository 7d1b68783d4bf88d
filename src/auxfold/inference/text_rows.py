"""Texts of a Python call as one list of strings per text column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from auxfold.config import Data
from auxfold.data.typed_cells import (
    describe_lone_surrogate,
    find_lone_surrogate,
    series_text,
    values_text,
)
from auxfold.errors import InputError, nearest

Texts = str | list[Any] | np.ndarray | pd.Series | pd.DataFrame


def read_text_rows(texts: Any, data: Data) -> tuple[list[list[str]], pd.Index]:
    """One list of strings per text column, and the index of the predictions.

    Args:
        texts: a string, several strings, or a table with the text columns. For a pair or a template
            with several columns, a row is a tuple in the order of ``data.text_columns``; for a
            template also a dictionary. Cells of a template may be missing, which is empty, or
            numbers.
        data: ``[data]``, which names the text columns.

    Raises:
        InputError: a column is missing, or something is not a text.
    """
    names = data.text_columns
    if isinstance(texts, pd.DataFrame):
        columns, index = _table_columns(texts, data), texts.index
    else:
        if not isinstance(texts, str | list | tuple | np.ndarray | pd.Series):
            raise InputError(f"expected texts, got {type(texts).__name__}; see auxfold.load")
        rows = [texts] if isinstance(texts, str) else list(texts)
        index = texts.index if isinstance(texts, pd.Series) else pd.RangeIndex(len(rows))
        if data.template is not None and any(isinstance(row, Mapping) for row in rows):
            columns = _read_dictionaries(rows, names)
        else:
            columns = [rows] if len(names) == 1 else _unzip(rows, names, data.is_pair)
    for column in columns:
        for position, text in enumerate(column, start=1):
            if not isinstance(text, str):
                raise InputError(f"row {position} is not a text: {text!r}")
            if not text.isascii() and find_lone_surrogate(text):
                raise InputError(f"row {position}: {describe_lone_surrogate(text)}")
    return columns, index


def _table_columns(table: pd.DataFrame, data: Data) -> list[list[Any]]:
    for name in data.text_columns:
        if table.columns.tolist().count(name) > 1:
            raise InputError(f"the table has several columns {name!r}; keep one of them")
        if name not in table.columns:
            raise InputError(
                f"the table has no text column {name!r}{nearest(name, map(str, table.columns))}"
            )
    if data.template is None:
        return [table[name].tolist() for name in data.text_columns]
    try:  # as the same cells in a file
        return [series_text(table[name]).to_pylist() for name in data.text_columns]
    except ValueError as error:
        raise InputError(str(error)) from None


def _read_dictionaries(rows: list[Any], names: list[str]) -> list[list[str]]:
    for position, row in enumerate(rows, start=1):
        missing = [name for name in names if not isinstance(row, Mapping) or name not in row]
        if missing:
            raise InputError(
                f"row {position} is not a dictionary with {', '.join(map(repr, names))}: {row!r}; "
                f"None is an empty text"
            )
    try:
        return [values_text([row[name] for row in rows], name).to_pylist() for name in names]
    except ValueError as error:
        raise InputError(str(error)) from None


def _unzip(rows: list[Any], names: list[str], is_pair: bool) -> list[list[Any]]:
    expected = "a pair of texts" if is_pair else f"{len(names)} texts ({', '.join(names)})"
    for position, row in enumerate(rows, start=1):
        if not isinstance(row, tuple | list) or len(row) != len(names):
            raise InputError(f"row {position} is not {expected}: {row!r}")
    return [[row[number] for row in rows] for number in range(len(names))]
