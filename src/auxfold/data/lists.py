"""Columns that hold a list in every row: ``labels = [2, 0, 1]`` is read as ``labels_0`` and so on.

Lists stand in jsonl and parquet as such, in csv and tsv as JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from auxfold.errors import InputError

_ENTRY = re.compile(r"(.+)_(\d+)")


def may_be_entries(wanted: Iterable[str]) -> bool:
    """Whether some column is called as the entries of lists are."""
    return any(_ENTRY.fullmatch(name) for name in wanted)


def entries_of_lists(wanted: Iterable[str], header: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Of the wanted columns that a file lacks, those which its lists have: column and place."""
    made = {}
    for name in wanted:
        found = _ENTRY.fullmatch(name)
        if name not in header and found and found[1] in header:
            made[name] = (found[1], int(found[2]))
    return made


def spread_lists(
    frame: pd.DataFrame, entries: dict[str, tuple[str, int]], path: str, length: int | None = None
) -> pd.DataFrame:
    """The frame with a column per entry, values as strings.

    Args:
        frame: with the columns of lists as strings.
        entries: what :func:`entries_of_lists` gave.
        path: of the file, for errors.
        length: of every list; the longest one's where None.

    Raises:
        InputError: a cell is not a list, or not as long as the others.
    """
    made = {}
    for base in dict.fromkeys(base for base, _ in entries.values()):
        lists = [_parsed(text, base, row, path) for row, text in enumerate(frame[base])]
        lengths = np.array([len(found) for found in lists if found is not None])
        expected = length or int(lengths.max(initial=0))
        for row, found in enumerate(lists):
            if found is not None and len(found) != expected:
                raise InputError(
                    f"{path}: column {base!r}, row {row + 1}: {len(found)} entries, "
                    f"expected {expected}"
                )
        for name, (of, place) in entries.items():
            if of != base:
                continue
            if place >= expected:
                raise InputError(
                    f"{path}: column {base!r} has lists of {expected}, so there is no {name!r}; "
                    f"entries are counted from 0"
                )
            made[name] = ["" if found is None else _text(found[place]) for found in lists]
    rest = frame.drop(columns=[base for base, _ in entries.values()], errors="ignore")
    return rest.assign(**made)


def all_entries(frame: pd.DataFrame) -> dict[str, tuple[str, int]]:
    """Of every column that is a list of one length throughout: its entries, column and place."""
    made = {}
    for base in frame:
        if not frame[base].str.match(r"\s*\[.*\]\s*$").all():
            continue
        try:
            lengths = {len(_parsed(text, base, 0, "") or []) for text in frame[base]}
        except InputError:  # texts in brackets
            continue
        if len(lengths) == 1:
            made |= {f"{base}_{place}": (base, place) for place in range(lengths.pop())}
    return made


def holds_lists(values: pd.Series) -> bool:
    """Whether a cell of a column of strings is a list."""
    return bool(values.str.lstrip().str.startswith("[").any())


def numbers_by_task(values: pd.Series, n: int, column: str, path: str) -> np.ndarray:
    """``(rows, n)`` float64 of a column whose cells are a list of n, or one number for all.

    Raises:
        InputError: a cell is neither.
    """
    made = np.empty((len(values), n))
    for row, text in enumerate(values):
        try:
            numbers = np.asarray(json.loads(text), dtype=np.float64)
        except (TypeError, ValueError):
            numbers = np.empty(0)
        if numbers.shape not in ((), (n,)):
            raise InputError(
                f"{path}: column {column!r}, row {row + 1}: {text[:40]!r} is neither a number nor "
                f"a list of {n} (a number for each task)"
            )
        made[row] = numbers
    return made


def _parsed(text: str, column: str, row: int, path: str) -> list[Any] | None:
    """The list in a cell; None where the cell is empty."""
    if not text.strip() or text.strip() == "null":
        return None
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or any(isinstance(entry, list | dict) for entry in found):
        raise InputError(
            f"{path}: column {column!r}, row {row + 1}: {text[:40]!r} is not a list such as "
            f"[2, 0, 1]"
        )
    return found


def _text(entry: Any) -> str:
    return "" if entry is None else str(entry)
