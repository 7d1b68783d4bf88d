"""What a reader of the scores of a run should know, in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from auxfold.errors import list_first
from auxfold.tasks import Task, TaskSet
from auxfold.tasks.class_task import ClassTask

FEW_ROWS = 30  # of the main label: below, a score is mostly chance
SHOWN = 5  # labels in a line
BASELINES = {"majority": "always predicting the majority", "tfidf": "the TF-IDF baseline"}


def few_rows_notes(tasks: TaskSet, labels: np.ndarray) -> list[str]:
    """A warning about main labels with fewer than 30 positive (or negative, or labeled) rows.

    Args:
        tasks: all tasks of the experiment.
        labels: ``Table.labels`` of the rows that are scored.
    """
    task = tasks.main
    counts = [
        (count, f"{target} has {count} {kind} rows")
        for position, target in enumerate(task.settings.targets)
        for count, kind in [_count_rows(task, labels[:, tasks.main_slice], position)]
        if count < FEW_ROWS
    ]
    if not counts:
        return []
    texts = [text for _, text in sorted(counts)]
    return [f"{list_first(texts, SHOWN)}: fewer than {FEW_ROWS}, so that scores are mostly chance"]


def soup_notes(average: str) -> list[str]:
    """Under ``inference.average = "soup"``: what the scores out of fold are of.

    Args:
        average: the setting.
    """
    if average != "soup":
        return []
    return [
        "these are the scores of the single folds; their soup (inference.average = 'soup') has "
        "seen every row of them, so that only labeled test rows (data.test_labels) can score it"
    ]


def _count_rows(task: Task, labels: np.ndarray, position: int) -> tuple[int, str]:
    if isinstance(task, ClassTask):
        return int(task.is_labeled(labels).sum()), "labeled"
    values = labels[:, position]
    if not task.has_positive_class:
        return int((~np.isnan(values)).sum()), "labeled"
    positive, negative = int((values >= 0.5).sum()), int((values < 0.5).sum())
    return (positive, "positive") if positive <= negative else (negative, "negative")


def fold_scale_notes(record: dict[str, Any]) -> list[str]:
    """Why scores over all rows and mean scores of the folds disagree; single labels are left out.

    Args:
        record: with ``oof``, ``mean`` and ``rank_within_folds``, see ``cross_validate``.
    """
    by_scale: list[str] = []
    by_rows: list[str] = []
    for name, ranked in record["rank_within_folds"].items():
        if name.count("/") > 1:
            continue
        pooled, mean = record["oof"][name], record["mean"][name]
        scores = (
            f"{name} {pooled:.4f} (mean of the folds {mean:.4f}, ranks within folds {ranked:.4f})"
        )
        # Ranks within folds have one scale: the part of the difference that they close is its.
        is_scale = (ranked - pooled) / (mean - pooled) >= 0.5
        (by_scale if is_scale else by_rows).append(scores)
    lines = []
    if by_scale:
        lines.append(
            f"the folds' predictions have different scales, which misleads scores over all rows: "
            f"{list_first(by_scale, SHOWN)}"
        )
    if by_rows:
        lines.append(
            f"the folds' scores differ from those over all rows, though not by the scale of their "
            f"predictions: {list_first(by_rows, SHOWN)}"
        )
    return lines


def baseline_notes(record: dict[str, Any]) -> list[str]:
    """Where a run is no better than a baseline, one line per metric.

    A run is better where the 95 % interval of its gain is above zero.

    Args:
        record: with ``baselines`` and ``rank_within_folds``, see ``cross_validate``.
    """
    baselines, lines = record["baselines"], []
    for metric, gains in baselines["gains"].items():
        scale = " by ranks within folds" if metric in record["rank_within_folds"] else ""
        for name, gain in gains.items():
            if gain["low"] > 0:
                continue
            run, baseline = baselines["run"][metric], baselines[name][metric]
            verdict = "worse" if gain["high"] < 0 else "no better"
            scores = f"{run:.4f} against {baseline:.4f}; " if not scale else ""
            lines.append(
                f"{metric} is {verdict} than {BASELINES[name]}{scale} ({scores}95 % interval of "
                f"the gain {gain['low']:+.4f} to {gain['high']:+.4f})"
            )
    return lines
