"""One column per class that holds its share of a label, such as the votes of annotators."""

from __future__ import annotations

import numpy as np
import pandas as pd

from auxfold.config import MulticlassSettings
from auxfold.data.cells import ParsedLabels, describe_missing, parse_numbers
from auxfold.errors import InputError

MAX_ROUNDING = 1e-3  # how far the shares of a row may be from 1, which rounded ones are


def parse_shares(frame: pd.DataFrame, task: MulticlassSettings, path: str) -> ParsedLabels:
    """``(rows, classes)`` shares that sum to 1; NaN in rows whose cells are all empty.

    Raises:
        InputError: a number is negative, a row has empty and filled cells, or its numbers do not
            sum to 1 (with ``normalize_votes``: sum to 0).
    """
    columns = task.file_columns
    numbers = parse_numbers(frame, columns, path)
    is_empty = np.isnan(numbers)
    where = f"{path}: columns {', '.join(columns[:3])}{', …' if len(columns) > 3 else ''}"
    partial = np.flatnonzero(is_empty.any(axis=1) & ~is_empty.all(axis=1))
    if len(partial):
        column = columns[int(is_empty[partial[0]].argmax())]
        raise InputError(
            f"{path}: column {column!r}, row {partial[0] + 1}: the cell is empty and other classes "
            f"of the row are not ({len(partial)} such rows); write 0, or leave all of them empty"
        )
    negative = np.argwhere(numbers < 0)
    if len(negative):
        row, index = negative[0]
        raise InputError(
            f"{path}: column {columns[index]!r}, row {row + 1}: {numbers[row, index]:g} is no "
            f"share; shares and votes are 0 or more ({len(negative)} such cells)"
        )
    sums = numbers.sum(axis=1)
    if task.normalize_votes:
        wrong, expected = np.flatnonzero(sums == 0), "a labeled row has at least one vote"
    else:
        wrong = np.flatnonzero(np.abs(sums - 1) > MAX_ROUNDING)
        expected = "the shares of a row sum to 1; for votes, set normalize_votes = true"
    if len(wrong):
        raise InputError(
            f"{where}, row {wrong[0] + 1}: the numbers sum to {sums[wrong[0]]:g}; {expected} "
            f"({len(wrong)} such rows)"
        )
    shares = numbers / sums[:, None]
    return ParsedLabels(shares, describe_missing(frame, columns, shares))
