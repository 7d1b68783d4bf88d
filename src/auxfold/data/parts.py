"""The parts of a table that a column marks: rows to train on, to validate on and to test on."""

from __future__ import annotations

import numpy as np
import pandas as pd

from auxfold.errors import InputError

TRAIN, DEV, TEST = "train", "dev", "test"
PARTS = {
    "train": TRAIN, "training": TRAIN, "trn": TRAIN,
    "dev": DEV, "development": DEV, "val": DEV, "valid": DEV, "validation": DEV,
    "test": TEST, "testing": TEST,
}  # fmt: skip


def parse_parts(cells: pd.Series, path: str) -> np.ndarray:
    """``(rows,)`` strings, ``train``, ``dev`` or ``test``.

    Raises:
        InputError: a cell is none of the words for them; the error names file, column and row.
    """
    parts = cells.str.strip().str.lower().map(PARTS)
    unknown = np.flatnonzero(parts.isna())
    if len(unknown):
        raise InputError(
            f"{path}: column {cells.name!r}, row {unknown[0] + 1}: {cells.iloc[unknown[0]]!r} is "
            f"no part of a split ({len(unknown)} such rows); parts are {', '.join(PARTS)}"
        )
    return parts.to_numpy(dtype=object)


def leave_out_test_rows(frame: pd.DataFrame, column: str, path: str) -> tuple[pd.DataFrame, str]:
    """The rows that are not marked as test, with their row numbers as the index, and their name.

    Raises:
        InputError: a cell is no part of a split, or all rows are marked as test.
    """
    is_test = parse_parts(frame[column], path) == TEST
    if is_test.all():
        raise InputError(f"{path}: column {column!r} marks every row as {TEST}; none is trained on")
    if not is_test.any():
        return frame, path
    return frame[~is_test], f"{path} (without its {is_test.sum():,} test rows)"


def select_test_rows(frame: pd.DataFrame, column: str, path: str) -> pd.DataFrame:
    """The rows that are marked as test, with their row numbers as the index.

    Raises:
        InputError: a cell is no part of a split, or no row is marked as test.
    """
    is_test = parse_parts(frame[column], path) == TEST
    if not is_test.any():
        raise InputError(f"{path}: column {column!r} marks no row as {TEST}; there is none to test")
    return frame[is_test]
