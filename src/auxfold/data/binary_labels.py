"""Columns of binary labels: numbers from 0 to 1, pairs of words such as yes and no, or any words.

A pair of words is recognized where all labels of a column are of that pair. For other words, the
experiment names the positive one. The labels -1 and 1 are read as 0 and 1 where a column has no
others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from auxfold.config import BinarySettings
from auxfold.data.cells import (
    MISSING_LABELS,
    MISSING_WORDS,
    ParsedLabels,
    describe_missing,
    list_counts,
    normalize_word,
    parse_numbers,
)
from auxfold.errors import InputError, nearest

# The word for 0 and the word for 1. "true" and "false" are also numbers; see parse_numbers.
WORD_PAIRS = (
    ("no", "yes"),
    ("n", "y"),
    ("false", "true"),
    ("f", "t"),
    ("neg", "pos"),
    ("negative", "positive"),
)


def parse_binary(frame: pd.DataFrame, task: BinarySettings, path: str) -> ParsedLabels:
    """The labels of a binary task, ``(rows, columns)`` from 0 to 1, NaN where empty.

    Raises:
        InputError: a cell is not a label; the error names file, column and row.
    """
    parsed = []
    for column in task.file_columns:
        positive = task.positive_word(column)
        if positive is None:
            parsed.append(_parse_numbers_or_pair(frame, column, task, path))
        else:
            parsed.append(_parse_by_positive_word(frame[column], positive))
    notes = [note for labels in parsed for note in labels.notes]
    return ParsedLabels(np.concatenate([labels.values for labels in parsed], axis=1), notes)


def check_positive_words(frames: Sequence[pd.DataFrame], task: BinarySettings, path: str) -> None:
    """Refuse a positive word that no row has.

    Args:
        frames: all files of a table.
        task: names the words.
        path: the files, for the message.

    Raises:
        InputError: with the nearest value that the column has.
    """
    for column in task.file_columns:
        positive = task.positive_word(column)
        if positive is None:
            continue
        counts = pd.concat([frame[column].str.strip() for frame in frames]).value_counts()
        counts = counts[counts.index != ""]
        if normalize_word(positive) not in map(normalize_word, counts.index):
            raise InputError(
                f"{path}: column {column!r} never holds {positive!r}, the positive word of "
                f"tasks.{task.name}{nearest(positive, counts.index)}; its values are "
                f"{list_counts(counts.to_dict())}"
            )


def find_word_pair(values: pd.Series) -> tuple[str, str] | None:
    """The words for 0 and 1 where all values of a column are of one such pair.

    Args:
        values: strings without white space around them; missing labels are ignored.
    """
    for first in values:
        word = first.lower()
        if word not in MISSING_LABELS:
            break
    else:
        return None
    pair = next((pair for pair in WORD_PAIRS if word in pair), None)
    if pair is None or not values.str.lower().isin({*pair, *MISSING_LABELS}).all():
        return None
    return pair


def _parse_numbers_or_pair(
    frame: pd.DataFrame, column: str, task: BinarySettings, path: str
) -> ParsedLabels:
    values = frame[column].str.strip()
    pair = find_word_pair(values)
    notes = []
    if pair is None:
        advice = (
            f"; a binary label is a number from 0 to 1, or all labels of a column are of one pair "
            f"such as yes and no, or tasks.{task.name}.positive is the word that means 1"
        )
        numbers = parse_numbers(frame, [column], path, advice)
        known = numbers[~np.isnan(numbers)]
        if (np.abs(known) == 1).all() and known.min(initial=0) == -1 and known.max(initial=0) == 1:
            numbers = (numbers + 1) / 2
            notes.append(f"{column}: -1 and 1 are read as 0 and 1")
    else:
        negative, positive = pair
        words = values.str.lower()
        number_by_word = {negative: 0.0, positive: 1.0}
        numbers = words.map(number_by_word).to_numpy(dtype=np.float64)[:, None]
        if pair != ("false", "true"):
            notes.append(f"{column}: {negative!r} is read as 0 and {positive!r} as 1")
    return ParsedLabels(numbers, [*notes, *describe_missing(frame, [column], numbers)])


def _parse_by_positive_word(cells: pd.Series, positive: str) -> ParsedLabels:
    """1 for the positive word, 0 for any other; case and white space do not count."""
    codes, values = pd.factorize(cells.str.strip())
    is_missing = np.array([value.lower() in MISSING_WORDS for value in values])
    is_positive = np.array([normalize_word(v) == normalize_word(positive) for v in values])
    number_by_code = np.where(is_positive, 1.0, np.where(is_missing, np.nan, 0.0))
    numbers = number_by_code[codes]
    counts = pd.Series(np.bincount(codes, minlength=len(values)), index=values)
    others = counts[~is_positive & ~is_missing].sort_values(ascending=False, kind="stable")
    words = list_counts(counts[is_positive].to_dict()) or "no value"
    note = f"{cells.name}: 1 is {words}; 0 is any other value: {list_counts(others.to_dict())}"
    frame = cells.to_frame()
    notes = describe_missing(frame, [str(cells.name)], numbers[:, None])
    return ParsedLabels(numbers[:, None], [note, *notes])
