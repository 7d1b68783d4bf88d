"""Which rows have equal or near-equal texts, within a table and between it and a test file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from auxfold.data.folds import duplicate_keys
from auxfold.data.near_duplicates import group_near_duplicates
from auxfold.data.table import Table


@dataclass(frozen=True)
class DuplicateGroup:
    """Rows that near-equal texts connect.

    Attributes:
        ids: of rows of the training table.
        folds: the fold of each of them, -1: only trained on; None where there are no folds.
        test_ids: of rows of the test file.
        n_texts: how many different texts they have; 1 where all are equal.
    """

    ids: list[str]
    folds: list[int] | None
    test_ids: list[str]
    n_texts: int

    @property
    def is_across_folds(self) -> bool:
        """Whether its rows are in several folds."""
        return self.folds is not None and len(set(self.folds)) > 1


@dataclass(frozen=True)
class DuplicateReport:
    """The rows of a table, and of a test file, that have equal or near-equal texts.

    Attributes:
        similarity: the Jaccard similarity from which texts are near-equal.
        path: the training file or files.
        rows: how many rows they have.
        test_path: the test file; None without one.
        test_rows: how many rows it has; None without one.
        groups: those of two rows or more, of which one is a training row; the largest first.
    """

    similarity: float
    path: str
    rows: int
    test_path: str | None
    test_rows: int | None
    groups: list[DuplicateGroup]

    @property
    def rows_in_groups(self) -> int:
        """Training rows whose text another training row repeats, or nearly so."""
        return sum(len(group.ids) for group in self.groups if len(group.ids) > 1)

    @property
    def rows_across_folds(self) -> int | None:
        """Training rows of groups that are in several folds; None where there are no folds."""
        if any(group.folds is None for group in self.groups):
            return None
        return sum(len(group.ids) for group in self.groups if group.is_across_folds)

    @property
    def test_rows_in_groups(self) -> int | None:
        """Test rows that are equal or near-equal to training rows; None without a test file."""
        if self.test_rows is None:
            return None
        return sum(len(group.test_ids) for group in self.groups)

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary for JSON."""
        counts = {
            name: getattr(self, name)
            for name in ("rows_in_groups", "rows_across_folds", "test_rows_in_groups")
        }
        content = asdict(self)
        return {**content, **counts, "groups": content["groups"]}


def report_duplicates(
    table: Table, similarity: float, folds: np.ndarray | None = None, test: Table | None = None
) -> DuplicateReport:
    """Group the rows of a table, and of a test file, by near-equal texts.

    Args:
        table: the training rows.
        similarity: the Jaccard similarity from which texts are near-equal.
        folds: ``(rows,)`` the fold of each training row.
        test: the rows of a test file.
    """
    texts = [*duplicate_keys(table.texts), *duplicate_keys([] if test is None else test.texts)]
    numbers, groups = near_equal_groups(texts, similarity)
    ids = table.ids if test is None else np.concatenate([table.ids, test.ids])
    n_rows = len(table)
    records = []
    repeated = np.flatnonzero(np.bincount(groups)[groups] > 1)
    order = repeated[np.argsort(groups[repeated], kind="stable")]
    for rows in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        train = rows[rows < n_rows]
        if len(train):
            records.append(
                DuplicateGroup(
                    ids=ids[train].tolist(),
                    folds=None if folds is None else folds[train].tolist(),
                    test_ids=ids[rows[rows >= n_rows]].tolist(),
                    n_texts=len(np.unique(numbers[rows])),
                )
            )
    records.sort(key=lambda group: -len(group.ids) - len(group.test_ids))
    return DuplicateReport(
        similarity=similarity,
        path=table.path,
        rows=n_rows,
        test_path=None if test is None else test.path,
        test_rows=None if test is None else len(test),
        groups=records,
    )


def count_across_folds(
    keys: Sequence[str] | np.ndarray, folds: np.ndarray, similarity: float
) -> int:
    """How many rows are in a group of near-equal texts that several folds share.

    Args:
        keys: ``(rows,)`` the normalized texts.
        folds: ``(rows,)`` the fold of each row.
        similarity: the Jaccard similarity from which texts are near-equal.
    """
    _, groups = near_equal_groups(keys, similarity)
    cells = pd.Series(folds).groupby(groups)
    return int((cells.transform("min") != cells.transform("max")).sum())


def near_equal_groups(
    keys: Sequence[str] | np.ndarray, similarity: float
) -> tuple[np.ndarray, np.ndarray]:
    """The number of each row's text, and the group of near-equal texts that the row is in.

    Args:
        keys: ``(rows,)`` the normalized texts.
        similarity: the Jaccard similarity from which texts are near-equal.

    Returns:
        Both ``(rows,)`` int.
    """
    numbers, texts = pd.factorize(np.array(keys, dtype=object))
    return numbers, group_near_duplicates(texts, similarity)[numbers]
