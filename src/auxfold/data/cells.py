"""Cells of a file as numbers: labels, identities, annotator counts and weights, each checked.

An unusable cell is an :class:`InputError` that names file, column and row.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from auxfold.config import TaskSettings
from auxfold.data.files import format_list
from auxfold.errors import InputError, nearest

MISSING_LABELS = {"", "na", "n/a", "nan", "null", "none", "<na>"}


def parse_labels(frame: pd.DataFrame, task: TaskSettings, path: str) -> np.ndarray:
    """``(rows, columns)`` float64 labels of a task, NaN where empty; classes as their numbers.

    Raises:
        InputError: a cell is not a label; the error names file, column and row.
    """
    if task.class_names is None:
        return parse_numbers(frame, task.file_columns, path)
    column, names = task.file_columns[0], task.class_names
    number_by_text = {name: float(number) for number, name in enumerate(names)}
    values = frame[column].str.strip()
    # In parquet and jsonl, whole numbers become floats where some are missing.
    if all(name.isdecimal() for name in names):
        values = values.str.replace(r"^(-?\d+)\.0$", r"\1", regex=True)
    empty = values.str.lower().isin(MISSING_LABELS) & ~values.isin(number_by_text)
    # Class numbers are accepted as labels unless a class has a number as its name.
    if not any(name.lstrip("-").isdecimal() for name in names):
        number_by_text |= {str(number): float(number) for number in range(len(names))}
    numbers = values.where(~empty).map(number_by_text)
    unknown = np.flatnonzero(numbers.isna() & ~empty)
    if len(unknown):
        cell = values.iloc[unknown[0]]
        raise InputError(
            f"{path}: column {column!r}, row {unknown[0] + 1}: {cell!r} is none of the classes of "
            f"tasks.{task.name}{nearest(cell, names)} ({len(unknown)} such rows); classes: "
            f"{format_list(names)}"
        )
    return numbers.to_numpy(dtype=np.float64)[:, None]


def parse_numbers(frame: pd.DataFrame, columns: list[str], path: str) -> np.ndarray:
    """``(rows, columns)`` float64; an empty cell is NaN, any other must be a number.

    Raises:
        InputError: a cell is not a number; the error names file, column and row.
    """
    parsed = np.empty((len(frame), len(columns)))
    for index, column in enumerate(columns):
        values = frame[column].str.strip()
        lower = values.str.lower()
        empty = lower.isin(MISSING_LABELS)
        digits = lower.replace({"true": "1", "false": "0"})
        numbers = pd.to_numeric(digits.where(~empty), errors="coerce")
        invalid = np.flatnonzero((numbers.isna() & ~empty) | np.isinf(numbers.astype(float)))
        if len(invalid):
            raise InputError(
                f"{path}: column {column!r}, row {invalid[0] + 1}: "
                f"{values.iloc[invalid[0]]!r} is not a number ({len(invalid)} such rows)"
            )
        parsed[:, index] = numbers.to_numpy(dtype=np.float64)
    return parsed


def parse_identities(frame: pd.DataFrame, columns: list[str], path: str) -> np.ndarray:
    """``(rows, columns)`` float32 shares in [0, 1] of annotators who saw an identity; NaN: empty.

    Raises:
        InputError: a cell is not such a share; the error names file, column and row.
    """
    identities = parse_numbers(frame, columns, path).astype(np.float32)
    invalid = np.argwhere((identities < 0) | (identities > 1))
    if len(invalid):
        row, index = invalid[0]
        raise InputError(
            f"{path}: column {columns[index]!r}, row {row + 1}: identity "
            f"{identities[row, index]:g}; an identity lies in [0, 1] ({len(invalid)} such cells)"
        )
    return identities


def parse_counts(frame: pd.DataFrame, column: str, path: str) -> np.ndarray:
    """``(rows,)`` float64 numbers of annotators, NaN where empty.

    Raises:
        InputError: a count is negative; the error names file, column and row.
    """
    counts = parse_numbers(frame, [column], path)[:, 0]
    negative = np.flatnonzero(counts < 0)
    if len(negative):
        raise InputError(
            f"{path}: column {column!r}, row {negative[0] + 1}: {counts[negative[0]]:g} "
            f"annotators; a number of annotators is 0 or more"
        )
    return counts


def parse_weights(frame: pd.DataFrame, column: str, path: str) -> np.ndarray:
    """``(rows,)`` float32 row weights of a column.

    Raises:
        InputError: a weight is empty or negative; the error names file, column and row.
    """
    return check_weights(parse_numbers(frame, [column], path), column, path)[:, 0]


def check_weights(numbers: np.ndarray, column: str, path: str) -> np.ndarray:
    """The same ``(rows, n)`` numbers as float32, after a check that all of them are weights.

    Raises:
        InputError: a weight is empty or negative; the error names file, column and row.
    """
    invalid = np.flatnonzero(~(numbers >= 0).all(axis=1) | np.isinf(numbers).any(axis=1))
    if len(invalid):
        raise InputError(
            f"{path}: column {column!r}, row {invalid[0] + 1}: a row weight must be a number >= 0"
        )
    return numbers.astype(np.float32)
