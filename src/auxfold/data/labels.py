"""Label columns of a file as numbers, by the kind of task, and what a reader should know of that.

Whatever can be understood in two ways is refused. What is read in a way that is not evident from
the file is described in a note, which ``make_folds`` prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from auxfold.config import BinarySettings, MulticlassSettings, TagsSettings, TaskSettings
from auxfold.data.binary_labels import parse_binary
from auxfold.data.cells import (
    MISSING_LABELS,
    ParsedLabels,
    describe_missing,
    normalize_word,
    parse_numbers,
)
from auxfold.data.class_shares import parse_shares
from auxfold.data.files import format_list
from auxfold.data.tags import parse_tags
from auxfold.errors import InputError, nearest


def parse_labels(frame: pd.DataFrame, task: TaskSettings, path: str) -> ParsedLabels:
    """The labels of a task, NaN where empty; classes as their numbers.

    Raises:
        InputError: a cell is not a label; the error names file, column and row.
    """
    if task.na_values:
        cells = frame[task.file_columns]
        is_empty = cells.apply(lambda column: column.str.strip().isin(task.na_values))
        frame = frame.assign(**cells.mask(is_empty, ""))
    if isinstance(task, TagsSettings):
        return parse_tags(frame, task, path)
    if isinstance(task, BinarySettings):
        return parse_binary(frame, task, path)
    if isinstance(task, MulticlassSettings) and task.has_shares:
        return parse_shares(frame, task, path)
    if task.class_names is not None:
        return _parse_classes(frame, task, task.class_names, path)
    numbers = parse_numbers(frame, task.file_columns, path)
    return ParsedLabels(numbers, describe_missing(frame, task.file_columns, numbers))


def _parse_classes(
    frame: pd.DataFrame, task: TaskSettings, names: list[str], path: str
) -> ParsedLabels:
    """The number of each row's class, ``(rows, 1)``."""
    column = task.file_columns[0]
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
            f"tasks.{task.name}{_nearest_class(cell, names)} ({len(unknown)} such rows); classes: "
            f"{format_list(names)}"
        )
    parsed = numbers.to_numpy(dtype=np.float64)[:, None]
    notes = describe_missing(frame, [column], parsed)
    return ParsedLabels(parsed, [*_describe_similar_classes(column, names), *notes])


def _nearest_class(cell: str, names: Sequence[str]) -> str:
    for name in names:
        if normalize_word(name) == normalize_word(cell):
            return f" (it differs from {name!r} only in case or white space)"
    return nearest(cell, names)


def _describe_similar_classes(column: str, names: list[str]) -> list[str]:
    """A note for each pair of classes that differ only in case or white space."""
    words = {name: normalize_word(name) for name in names}
    if len(set(words.values())) == len(words):
        return []
    return [
        f"{column}: the classes {first!r} and {second!r} differ only in case or white space"
        for first, second in combinations(names, 2)
        if words[first] == words[second]
    ]
