"""Cells of a file as numbers: labels, identities, annotator counts and weights, each checked.

An unusable cell is an :class:`InputError` that names file, column and row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from auxfold.errors import InputError, list_first

MISSING_WORDS = {"", "na", "n/a", "nan", "null", "<na>"}
MISSING_LABELS = {*MISSING_WORDS, "none"}  # among words, "none" is one of them
MAX_VALUES = 5  # how many values of a column a message lists


class ParsedLabels(NamedTuple):
    """The labels of a task in one file.

    Attributes:
        values: ``(rows, columns)`` float64, NaN where not labeled.
        notes: one line for each thing about their reading that the file does not show.
    """

    values: np.ndarray
    notes: list[str]


def parse_numbers(
    frame: pd.DataFrame, columns: list[str], path: str, advice: str = ""
) -> np.ndarray:
    """``(rows, columns)`` float64; an empty cell is NaN, any other must be a number.

    Args:
        frame: with the columns as strings.
        columns: which of them.
        path: the file, named in errors.
        advice: how to go on, the end of an error.

    Raises:
        InputError: a cell is not a number; the error names file, column and row.
    """
    parsed = np.empty((len(frame), len(columns)))
    for index, column in enumerate(columns):
        # Every text is parsed once: a label has few different ones.
        codes, texts = pd.factorize(frame[column], use_na_sentinel=False)
        values = pd.Series(texts).str.strip()
        lower = values.str.lower()
        empty = lower.isin(MISSING_LABELS)
        digits = lower.replace({"true": "1", "false": "0"})
        numbers = pd.to_numeric(digits.where(~empty), errors="coerce").astype(float)
        is_invalid = ((numbers.isna() & ~empty) | np.isinf(numbers)).to_numpy()
        if is_invalid.any():
            invalid = np.flatnonzero(is_invalid[codes])
            raise InputError(
                f"{path}: column {column!r}, row {invalid[0] + 1}: "
                f"{values.iloc[codes[invalid[0]]]!r} is not a number ({len(invalid)} such "
                f"rows){advice}"
            )
        parsed[:, index] = numbers.to_numpy()[codes]
    return parsed


def normalize_word(text: str) -> str:
    """A word by which those that differ only in case or white space are equal."""
    return " ".join(text.split()).casefold()


def describe_missing(frame: pd.DataFrame, columns: list[str], values: np.ndarray) -> list[str]:
    """A note for every column in which words such as ``nan`` were read as not labeled.

    Args:
        frame: with the columns as strings.
        columns: the label columns.
        values: ``(rows, columns)``, NaN where not labeled.
    """
    notes = []
    for column, numbers in zip(columns, values.T, strict=True):
        words = frame[column][np.isnan(numbers)].str.strip()
        counts = words[words != ""].value_counts()
        notes += [
            f"{column}: {word!r} is read as not labeled ({count:,} row{'s' if count > 1 else ''})"
            for word, count in counts.items()
        ]
    return notes


def list_counts(counts: Mapping[Any, int]) -> str:
    """``'ham' (4,825), 'spam' (747) and 3 more``: values with their numbers of rows."""
    return list_first([f"{value!r} ({count:,})" for value, count in counts.items()], MAX_VALUES)


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
