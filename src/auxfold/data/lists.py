"""Columns that hold a list in every row: ``labels = [2, 0, 1]`` is read as ``labels_0`` and so on.

In jsonl and parquet files the cells are lists. In csv and tsv files they are JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from auxfold.data.json_lines import json_decoder
from auxfold.data.typed_cells import cell_text
from auxfold.errors import InputError

ListEntries = dict[str, tuple[str, int]]  # "labels_2" -> ("labels", 2)

_DECODER = json_decoder()
_ENTRY = re.compile(r"(.+)_(\d+)")


def has_list_entry_names(columns: Iterable[str]) -> bool:
    """Whether some column has a name that an entry of a list could have."""
    return any(_ENTRY.fullmatch(name) for name in columns)


def match_list_entries(columns: Iterable[str], header: Iterable[str]) -> ListEntries:
    """The columns that a file lacks but that its lists provide: list column and index of each.

    Args:
        columns: the names that are needed.
        header: the column names of the file.
    """
    entries = {}
    for name in columns:
        match = _ENTRY.fullmatch(name)
        if name not in header and match and match[1] in header:
            entries[name] = (match[1], int(match[2]))
    return entries


def expand_lists(
    frame: pd.DataFrame, entries: ListEntries, path: str, length: int | None = None
) -> pd.DataFrame:
    """The frame with a column of strings per entry instead of the columns of lists.

    Args:
        frame: with the columns of lists as strings.
        entries: the result of :func:`match_list_entries`.
        path: the file, named in errors.
        length: the length of every list; that of the longest list where None.

    Raises:
        InputError: a cell is not a list, or its length differs from the others.
    """
    columns = {}
    for base in dict.fromkeys(base for base, _ in entries.values()):
        lists = [_parse_list(text, base, row, path) for row, text in enumerate(frame[base])]
        lengths = np.array([len(values) for values in lists if values is not None])
        expected = length or int(lengths.max(initial=0))
        for row, values in enumerate(lists):
            if values is not None and len(values) != expected:
                raise InputError(
                    f"{path}: column {base!r}, row {row + 1}: {len(values)} entries, "
                    f"expected {expected}"
                )
        for name, (entry_base, index) in entries.items():
            if entry_base != base:
                continue
            if index >= expected:
                raise InputError(
                    f"{path}: column {base!r} has lists of {expected}, so there is no {name!r}; "
                    f"entries are counted from 0"
                )
            columns[name] = ["" if values is None else cell_text(values[index]) for values in lists]
    plain = frame.drop(columns=[base for base, _ in entries.values()], errors="ignore")
    return plain.assign(**columns)


def detect_list_entries(frame: pd.DataFrame) -> ListEntries:
    """The entries of every column that holds lists of one length: list column and index of each."""
    entries: ListEntries = {}
    for base in map(str, frame):
        if not frame[base].str.match(r"\s*\[.*\]\s*$").all():
            continue
        try:
            lengths = {len(_parse_list(text, base, 0, "") or []) for text in frame[base]}
        except InputError:  # a text in brackets
            continue
        if len(lengths) == 1:
            entries |= {f"{base}_{index}": (base, index) for index in range(lengths.pop())}
    return entries


def contains_lists(values: pd.Series) -> bool:
    """Whether some cell of a column of strings is a list."""
    return bool(values.str.lstrip().str.startswith("[").any())


def parse_task_numbers(values: pd.Series, n_tasks: int, column: str, path: str) -> np.ndarray:
    """``(rows, n_tasks)`` float64; a cell is a list with a number per task, or one number for all.

    Raises:
        InputError: a cell is neither.
    """
    parsed = np.empty((len(values), n_tasks))
    for row, text in enumerate(values):
        try:
            numbers = np.asarray(json.loads(text), dtype=np.float64)
        except (TypeError, ValueError):
            numbers = np.empty(0)
        if numbers.shape not in ((), (n_tasks,)):
            raise InputError(
                f"{path}: column {column!r}, row {row + 1}: {text[:40]!r} is neither a number nor "
                f"a list of {n_tasks} (a number for each task)"
            )
        parsed[row] = numbers
    return parsed


def _parse_list(text: str, column: str, row: int, path: str) -> list[Any] | None:
    """The list in a cell; None where the cell is empty."""
    if not text.strip() or text.strip() == "null":
        return None
    try:
        values = _DECODER.decode(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, list) or any(isinstance(entry, list | dict) for entry in values):
        raise InputError(
            f"{path}: column {column!r}, row {row + 1}: {text[:40]!r} is not a list such as "
            f"[2, 0, 1]"
        )
    return values
