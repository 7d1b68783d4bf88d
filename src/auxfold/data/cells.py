"""Cells of a file as numbers: labels, identities, counts and weights, each checked.

A cell that cannot be one is an :class:`InputError` that names file, column and row.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from auxfold.config import MulticlassSettings, TaskSettings
from auxfold.errors import InputError, nearest

MISSING_LABELS = {"", "na", "n/a", "nan", "null", "none", "<na>"}


def labels_of(frame: pd.DataFrame, task: TaskSettings, path: str) -> np.ndarray:
    """``(rows, columns)`` float64 labels of a task, NaN where empty; classes as their numbers.

    Raises:
        InputError: naming file, column and row.
    """
    if not isinstance(task, MulticlassSettings):
        return numbers_of(frame, task.columns, path)
    column, names = task.columns[0], task.class_names
    known = {name: float(number) for number, name in enumerate(names)}
    values = frame[column].str.strip()
    # Whole numbers beside missing ones come as floats from parquet and jsonl.
    if all(name.isdecimal() for name in names):
        values = values.str.replace(r"^(-?\d+)\.0$", r"\1", regex=True)
    empty = values.str.lower().isin(MISSING_LABELS) & ~values.isin(known)
    # A class by its number is understood where no class is called by a number.
    if not any(name.lstrip("-").isdecimal() for name in names):
        known |= {str(number): float(number) for number in range(len(names))}
    numbers = values.where(~empty).map(known)
    wrong = np.flatnonzero(numbers.isna() & ~empty)
    if len(wrong):
        given = values.iloc[wrong[0]]
        raise InputError(
            f"{path}: column {column!r}, row {wrong[0] + 1}: {given!r} is none of the classes of "
            f"tasks.{task.name}{nearest(given, names)} ({len(wrong)} such rows); classes: "
            f"{', '.join(names[:20])}{', …' if len(names) > 20 else ''}"
        )
    return numbers.to_numpy(dtype=np.float64)[:, None]


def numbers_of(frame: pd.DataFrame, columns: list[str], path: str) -> np.ndarray:
    """``(rows, columns)`` float64; an empty cell is NaN, anything else must be a number.

    Raises:
        InputError: naming file, column and row.
    """
    made = np.empty((len(frame), len(columns)))
    for position, column in enumerate(columns):
        values = frame[column].str.strip()
        lower = values.str.lower()
        empty = lower.isin(MISSING_LABELS)
        plain = lower.replace({"true": "1", "false": "0"})
        numbers = pd.to_numeric(plain.where(~empty), errors="coerce")
        wrong = np.flatnonzero((numbers.isna() & ~empty) | np.isinf(numbers.astype(float)))
        if len(wrong):
            raise InputError(
                f"{path}: column {column!r}, row {wrong[0] + 1}: "
                f"{values.iloc[wrong[0]]!r} is not a number ({len(wrong)} such rows)"
            )
        made[:, position] = numbers.to_numpy(dtype=np.float64)
    return made


def identities_of(frame: pd.DataFrame, columns: list[str], path: str) -> np.ndarray:
    """``(rows, columns)`` float32 shares in [0, 1] of annotators who saw an identity; NaN: empty.

    Raises:
        InputError: naming file, column and row.
    """
    made = numbers_of(frame, columns, path).astype(np.float32)
    wrong = np.argwhere((made < 0) | (made > 1))
    if len(wrong):
        row, position = wrong[0]
        raise InputError(
            f"{path}: column {columns[position]!r}, row {row + 1}: identity "
            f"{made[row, position]:g}; an identity lies in [0, 1] ({len(wrong)} such cells)"
        )
    return made


def counts_of(frame: pd.DataFrame, column: str, path: str) -> np.ndarray:
    """``(rows,)`` numbers of annotators, NaN where empty.

    Raises:
        InputError: a negative one, naming file, column and row.
    """
    counts = numbers_of(frame, [column], path)[:, 0]
    wrong = np.flatnonzero(counts < 0)
    if len(wrong):
        raise InputError(
            f"{path}: column {column!r}, row {wrong[0] + 1}: {counts[wrong[0]]:g} annotators; a "
            f"number of annotators is 0 or more"
        )
    return counts


def weights_of(frame: pd.DataFrame, column: str, path: str) -> np.ndarray:
    """``(rows,)`` float32 of a column of row weights.

    Raises:
        InputError: an empty or negative one, naming file, column and row.
    """
    return checked_weights(numbers_of(frame, [column], path), column, path)[:, 0]


def checked_weights(numbers: np.ndarray, column: str, path: str) -> np.ndarray:
    """The same ``(rows, n)`` numbers as float32, all of them weights.

    Raises:
        InputError: an empty or negative one, naming file, column and row.
    """
    wrong = np.flatnonzero(~(numbers >= 0).all(axis=1) | np.isinf(numbers).any(axis=1))
    if len(wrong):
        raise InputError(
            f"{path}: column {column!r}, row {wrong[0] + 1}: a row weight must be a number >= 0"
        )
    return numbers.astype(np.float32)
