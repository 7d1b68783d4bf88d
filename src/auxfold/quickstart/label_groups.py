"""Columns that are one task together: votes and shares per class, scores, flags of one prefix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import pandas as pd

from auxfold.quickstart.column import MAX_CLASSES, ColumnProfile
from auxfold.quickstart.names import (
    COPY_WORDS,
    MAIN_NAMES,
    VOTE_WORDS,
    has_word,
    name_words,
    rank_of_name,
)

MAX_SCORES = 50  # different whole numbers that are scores on one scale
MIN_SHARES = 3  # columns of shares or one-hot classes


@dataclass(frozen=True)
class LabelGroup:
    """The label columns of one task.

    Attributes:
        name: what the columns have in common; the column's name where there is one.
        kind: the kind of the task.
        columns: its label columns.
        settings: further lines of the task in the experiment file.
    """

    name: str
    kind: str
    columns: list[ColumnProfile]
    settings: list[str] = field(default_factory=list)

    @classmethod
    def of_column(cls, column: ColumnProfile, kind: str | None = None) -> LabelGroup:
        """The task of one column."""
        kind = kind or column.kind
        assert kind is not None, "a label column has a kind"
        return cls(column.name, kind, [column])

    @property
    def column_kind(self) -> str:
        """As what a single column is described; a share or a number of votes is a number."""
        are_numbers = self.kind == "multiclass" and len(self.columns) > 1
        return "regression" if are_numbers else self.kind

    @property
    def column_names(self) -> list[str]:
        """The names of its columns."""
        return [column.name for column in self.columns]

    def describe(self) -> str:
        """The kind, and what the columns hold."""
        if len(self.columns) == 1:
            return f"{self.kind}, {self.columns[0].describe(self.kind)}"
        return f"{self.kind} of {len(self.columns)} columns"


def find_copies(columns: Iterable[ColumnProfile]) -> dict[str, str]:
    """Columns that only repeat another one: the copy's name to the original's.

    Numbers for words are a copy, such as ``label_id`` of ``label``. Of two columns of words, or of
    numbers, so is the one whose name says it.
    """
    classes = [c for c in columns if 2 <= c.n_distinct <= MAX_CLASSES and c.kind is not None]
    copies: dict[str, str] = {}
    for first, second in combinations(classes, 2):
        if {first.name, second.name} & copies.keys() or first.n_distinct != second.n_distinct:
            continue
        if not _is_copy(first, second):
            continue
        if (first.numbers is None) != (second.numbers is None):
            copy, original = (first, second) if first.numbers is not None else (second, first)
        else:
            copy, original = sorted([first, second], key=lambda c: -len(name_words(c.name)))
        copies[copy.name] = original.name
    return copies


def _is_copy(first: ColumnProfile, second: ColumnProfile) -> bool:
    """Whether each value of one column always comes with the same value of the other."""
    numeric = [column for column in (first, second) if column.numbers is not None]
    if len(numeric) == 1:
        if not numeric[0].is_integer:
            return False
    elif not _differ_in_copy_words(first.name, second.name):
        return False
    pairs = pd.concat([first.values, second.values], axis=1, join="inner").drop_duplicates()
    covers = len(first.values) == len(second.values)
    return covers and len(pairs) == first.n_distinct


def _differ_in_copy_words(first: str, second: str) -> bool:
    words, others = set(name_words(first)), set(name_words(second))
    return bool(words & others) and words ^ others <= COPY_WORDS


def find_votes(columns: list[ColumnProfile]) -> LabelGroup | None:
    """Integer columns that count the votes for each class; None where there are none."""
    counts = [c for c in columns if c.is_integer and not c.missing and c.numbers.min() >= 0]  # type: ignore[union-attr]
    named = [c for c in counts if has_word(c.name, VOTE_WORDS) and len(name_words(c.name)) > 1]
    if len(named) >= 2 and _are_totals_alike(_row_sums(named)):
        return _vote_group(named)
    rest = [c for c in counts if c.n_distinct > 1 and _main_rank(c) is None]
    for total in [None, *rest]:
        parts = [c for c in rest if c is not total]
        if len(parts) < MIN_SHARES or all(c.kind == "binary" for c in parts):
            continue
        sums = _row_sums(parts)
        constant = total is None and sums.min() == sums.max() > 1
        if constant or (total is not None and (sums == total.numbers).all()):
            return _vote_group(parts)
    return None


def find_shares(columns: list[ColumnProfile]) -> LabelGroup | None:
    """Columns whose numbers are the shares of the classes, or mark the one class of a row."""
    binary = [c for c in columns if c.numbers is not None and c.kind == "binary" and not c.missing]
    for shares in [binary, *group_by_prefix(binary).values()]:
        if len(shares) >= MIN_SHARES and (np.abs(_row_sums(shares) - 1) < 0.011).all():
            exact = (np.abs(_row_sums(shares) - 1) < 1e-9).all()
            comment = "normalize_votes = true  # the shares of some rows do not sum to 1 exactly"
            return LabelGroup(common_name(shares), "multiclass", shares, [] if exact else [comment])
    return None


def find_scores(columns: list[ColumnProfile], min_columns: int = 3) -> LabelGroup | None:
    """Columns of numbers on one scale, which are one task of regression."""
    scales: dict[tuple[float, float], list[ColumnProfile]] = {}
    for column in columns:
        is_score = column.kind in ("regression", "ordinal", "multiclass")
        is_fine = column.n_distinct <= MAX_SCORES or not column.is_integer
        if is_score and column.numbers is not None and is_fine:
            scale = next(
                (key for key, members in scales.items() if _share_a_scale(members[0], column)),
                (float(column.numbers.min()), float(column.numbers.max())),
            )
            scales.setdefault(scale, []).append(column)
    groups = [group for group in scales.values() if len(group) >= min_columns]
    groups = [group for group in groups if all(_main_rank(column) is None for column in group)]
    if len(groups) != 1:
        return None
    return LabelGroup(common_name(groups[0]), "regression", groups[0])


def _share_a_scale(first: ColumnProfile, second: ColumnProfile) -> bool:
    """Whether most values of two columns are values of both; of fractions, most of the ranges."""
    values, others = set(first.counts.index.map(float)), set(second.counts.index.map(float))
    if len(values & others) >= 0.6 * len(values | others):
        return True
    common = min(max(values), max(others)) - max(min(values), min(others))
    whole = max(max(values), max(others)) - min(min(values), min(others))
    return not (first.is_integer or second.is_integer) and common >= 0.6 * whole


def group_by_prefix(columns: list[ColumnProfile]) -> dict[str, list[ColumnProfile]]:
    """Columns by common prefix (three or more, or keys of an object), then by missing labels."""
    prefixes = [_prefix(column.name) for column in columns]
    groups: dict[str, list[ColumnProfile]] = {}
    for column, prefix in zip(columns, prefixes, strict=True):
        is_key = f"{prefix}." == column.name[: len(prefix) + 1]
        is_shared = prefix != column.name and (is_key or prefixes.count(prefix) >= 3)
        key = prefix if is_shared else "partly_labeled" if column.missing > 0.3 else "labels"
        groups.setdefault(key, []).append(column)
    return groups


def _prefix(name: str) -> str:
    separator = "." if "." in name else "_"
    return name.split(separator)[0]


def common_name(columns: list[ColumnProfile]) -> str:
    """The words that all names start or end with; ``main`` where there are none."""
    words = [name_words(column.name) for column in columns]
    start = _common_start(words)
    end = _common_start([list(reversed(name)) for name in words])[::-1]
    return "_".join(start or end) or "main"


def _common_start(words: list[list[str]]) -> list[str]:
    common = []
    for position in zip(*words, strict=False):
        if len(set(position)) > 1:
            break
        common.append(position[0])
    return common


def _row_sums(columns: list[ColumnProfile]) -> np.ndarray:
    numbers = [column.numbers for column in columns if column.numbers is not None]
    return np.sum(numbers, axis=0)


def _are_totals_alike(totals: np.ndarray) -> bool:
    """Whether nearly every row has votes, and about as many as the others."""
    return bool((totals == 0).mean() <= 0.01 and totals.max() <= 4 * np.median(totals))


def _vote_group(columns: list[ColumnProfile]) -> LabelGroup:
    return LabelGroup(common_name(columns), "multiclass", columns, ["normalize_votes = true"])


def _main_rank(column: ColumnProfile) -> int | None:
    return rank_of_name(column.name, MAIN_NAMES[0] + MAIN_NAMES[1])
