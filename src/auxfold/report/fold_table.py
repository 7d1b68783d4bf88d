"""Rows and labels of every fold; of many labels only those that differ most between the folds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auxfold.config.experiment import Experiment
from auxfold.data.sources import rows_per_source
from auxfold.data.table import Table
from auxfold.tasks import TaskSet

MAX_LABELS = 8  # as many fit a line


@dataclass(frozen=True)
class FoldTable:
    """What a person compares between folds.

    Attributes:
        header: the headings of ``rows``.
        rows: one row of cells per fold: its name, its rows, its rows per source, labels.
        note: what is left out, as a sentence; empty where nothing is.
        labels: heading to a cell per fold, for every label; empty where nothing is left out.
    """

    header: list[str]
    rows: list[list[str]]
    note: str
    labels: dict[str, list[str]]

    def lines(self) -> list[str]:
        """The table as text, with the note."""
        widths = [max(6, *map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        lines = [
            "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
            for row in [self.header, *self.rows]
        ]
        return [*lines, self.note] if self.note else lines


def fold_table(
    experiment: Experiment, tasks: TaskSet, table: Table, folds: np.ndarray
) -> FoldTable:
    """The rows and labels of every fold, and of the rows that are only trained on.

    Args:
        experiment: names the folds and the sources.
        tasks: its tasks.
        table: its training table.
        folds: the fold of every row, ``(rows,)``; -1: only trained on.
    """
    names = [*experiment.folds.names, *([-1] if (folds < 0).any() else [])]
    summaries = [tasks.label_summary(table.labels[folds == fold]) for fold in names]
    headings = list(summaries[0])
    shown = headings
    if len(headings) > MAX_LABELS:
        shown = _select_different(tasks, table.labels, folds)
    cells = [
        {
            "fold": "train" if fold == -1 else str(fold),
            "rows": f"{int((folds == fold).sum()):,}",
            **rows_per_source(experiment.data, table.sources_at(folds == fold)),
            **{heading: summary[heading] for heading in shown},
        }
        for fold, summary in zip(names, summaries, strict=True)
    ]
    is_folded = len(shown) < len(headings)
    return FoldTable(
        header=list(cells[0]),
        rows=[list(row.values()) for row in cells],
        note=_describe_rest(len(headings) - len(shown), bool(shown)) if is_folded else "",
        labels={h: [s[h] for s in summaries] for h in headings} if is_folded else {},
    )


def _select_different(tasks: TaskSet, labels: np.ndarray, folds: np.ndarray) -> list[str]:
    """Up to eight headings of ``label_summary`` whose shares differ most, in their order."""
    spreads: dict[str, float] = {}
    for task, columns in tasks.items():
        of_flags = _relative_spreads(task.stratification_flags(labels[:, columns]), folds)
        headings = task.label_summary(labels[:, columns])
        # A column of numbers has several flags, one per range.
        by_heading = of_flags.reshape(len(headings), -1).max(axis=1)
        spreads |= dict(zip(headings, by_heading, strict=True))
    ranked = sorted(spreads, key=lambda heading: -spreads[heading])[:MAX_LABELS]
    return [heading for heading in spreads if heading in ranked and spreads[heading] > 0]


def _relative_spreads(flags: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Largest minus smallest share of a flag in a fold, over its mean share; ``(flags,)``.

    It is 0 where the counts differ by one row at most, which no division into folds avoids.
    """
    masks = [folds == fold for fold in np.unique(folds[folds >= 0])]
    counts = np.array([(flags[mask] >= 0.5).sum(axis=0) for mask in masks])
    labeled = np.array([(~np.isnan(flags[mask])).sum(axis=0) for mask in masks])
    shares = counts / np.maximum(labeled, 1)
    spreads = np.ptp(shares, axis=0) / np.maximum(shares.mean(axis=0), 1e-12)
    return np.where(np.ptp(counts, axis=0) <= 1, 0.0, spreads)


def _describe_rest(n_labels: int, has_others: bool) -> str:
    if has_others:
        return f"{n_labels} more labels differ less between the folds."
    return f"The counts of the {n_labels} labels differ by at most one row between the folds."
