"""The scores of a run as tables of the report: of the tasks by fold, and of single labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from auxfold.report.tables import format_cell, format_score, score_columns
from auxfold.tasks import TaskSet
from auxfold.tasks.metrics import higher_is_better

MAX_FOLDS = 20  # with a column each
MAX_LABELS = 10  # of a table; of more labels those with the lowest score are shown first


@dataclass(frozen=True)
class ScoreRow:
    """One metric of a whole task.

    Attributes:
        task: the name of the task; empty: a mean over tasks.
        cells: the cells of the row.
        is_headline: whether the metric is one of those that are shown first.
    """

    task: str
    cells: list[str]
    is_headline: bool


@dataclass(frozen=True)
class LabelScores:
    """The out-of-fold metrics of the labels of one task.

    Attributes:
        task: the name of the task.
        header: ``label`` and the metrics.
        rows: one row per label.
        lowest: of many labels those with the worst score, worst first; empty where all are few.
    """

    task: str
    header: list[str]
    rows: list[list[str]]
    lowest: list[list[str]]


def score_rows(tasks: TaskSet, record: dict[str, Any]) -> tuple[list[str], list[ScoreRow]]:
    """Header and rows of every metric of a whole task; ``–`` where a value is undefined.

    Args:
        tasks: all tasks of the experiment.
        record: from ``cross_validate``.
    """
    columns = score_columns(record, max_folds=MAX_FOLDS)
    names = [name for name in record["oof"] if name.count("/") < 2]
    headlines = {record["main"], *tasks.headline_metrics()}
    headlines |= {f"{task.name}/{task.default_metric}" for task in tasks}
    rows = [
        ScoreRow(
            name.split("/")[0] if "/" in name else "",
            [name, *(format_cell(values.get(name)) for values in columns.values())],
            name in headlines,
        )
        for name in names
    ]
    return ["metric", *columns], rows


def label_scores(tasks: TaskSet, record: dict[str, Any]) -> list[LabelScores]:
    """The out-of-fold metrics of every label, for each task of several labels."""
    return [
        _label_scores(task.name, task.settings.targets, list(task.metrics), record)
        for task in tasks
        if any(name.startswith(f"{task.name}/") and name.count("/") == 2 for name in record["oof"])
    ]


def _label_scores(
    task: str, labels: list[str], metrics: list[str], record: dict[str, Any]
) -> LabelScores:
    oof = record["oof"]
    metrics = [m for m in metrics if f"{task}/{m}/{labels[0]}" in oof]
    by_label = {label: [oof[f"{task}/{metric}/{label}"] for metric in metrics] for label in labels}
    rows = [[label, *map(format_score, values)] for label, values in by_label.items()]
    lowest: list[list[str]] = []
    if len(rows) > MAX_LABELS:
        worst = _sort_from_worst(by_label, metrics[0])
        lowest = [rows[labels.index(label)] for label in worst[:MAX_LABELS]]
    return LabelScores(task, ["label", *metrics], rows, lowest)


def _sort_from_worst(by_label: dict[str, list[float | None]], metric: str) -> list[str]:
    """The labels by their first metric, worst first, then those without a score."""
    sign = 1 if higher_is_better(metric) else -1
    return sorted(by_label, key=lambda label: _rank_key(by_label[label][0], sign))


def _rank_key(score: float | None, sign: int) -> tuple[bool, float]:
    return score is None, sign * (score or 0.0)
