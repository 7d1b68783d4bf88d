"""Ranks within folds, which a score over all rows at once does not mislead.

The folds' models may give the same text different probabilities. A score that reads the order of
all rows at once then mixes several scales: it can be far below that of every single fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from auxfold.config import BIAS
from auxfold.data.table import Table
from auxfold.evaluation.scores import evaluate_rows
from auxfold.tasks import TaskSet

MIN_DIFFERENCE = 0.005


def rank_within_folds(
    predictions: dict[str, np.ndarray], folds: np.ndarray
) -> dict[str, np.ndarray]:
    """Every prediction replaced by its rank in its fold and column, between 0 and 1.

    Equal predictions have equal ranks.

    Args:
        predictions: task name to ``(rows, n_outputs)``.
        folds: the fold of each row, ``(rows,)``.
    """
    from scipy.stats import rankdata

    ranked = {name: np.empty(values.shape) for name, values in predictions.items()}
    for fold in np.unique(folds):
        indices = np.flatnonzero(folds == fold)
        for name, values in predictions.items():
            ranked[name][indices] = (rankdata(values[indices], axis=0) - 0.5) / len(indices)
    return ranked


def disagreeing_metrics(record: dict[str, Any]) -> list[str]:
    """The metrics whose value over all rows is not what the folds have on average.

    These are further apart than 0.005 and than the standard error of the mean over the folds.

    Args:
        record: with ``oof``, ``folds``, ``mean`` and ``std``, see ``out_of_fold_scores``.
    """
    n_folds = len(record["folds"])
    names = []
    for name, pooled in record["oof"].items():
        mean, std = record["mean"][name], record["std"][name]
        if pooled is None or mean is None or std is None:
            continue
        if abs(pooled - mean) > max(MIN_DIFFERENCE, std / np.sqrt(n_folds)):
            names.append(name)
    return names


def scores_of_fold_ranks(
    tasks: TaskSet,
    table: Table,
    predictions: dict[str, np.ndarray],
    folds: np.ndarray,
    record: dict[str, Any],
    identities: Sequence[str] = (),
) -> dict[str, float]:
    """The scores of ranks within folds, where pooled scores and those of the folds disagree.

    Args:
        tasks: all tasks of the experiment.
        table: the rows that some fold holds out.
        predictions: task name to ``(rows, n_outputs)``, out of fold.
        folds: the fold of each row, ``(rows,)``.
        record: with ``oof``, ``folds``, ``mean`` and ``std``.
        identities: the names of the columns of ``table.identities``.

    Returns:
        Metric to score, of the metrics that need no more than the order of predictions.
    """
    names = [name for name in disagreeing_metrics(record) if needs_only_order(tasks, name)]
    if not names:
        return {}
    read = {
        tasks.main.name if name.startswith(f"{BIAS}/") else name.split("/")[0] for name in names
    }
    tasks = tasks.subset(task.name for task in tasks if task.name in read)
    ranked = rank_within_folds({task.name: predictions[task.name] for task in tasks}, folds)
    identities = identities if tasks.main.name in read else ()
    metrics = evaluate_rows(tasks, table, np.arange(len(table)), ranked, identities).metrics
    return {name: score for name in names if (score := metrics[name]) is not None}


def needs_only_order(tasks: TaskSet, metric: str) -> bool:
    """Whether a metric of one task, or of bias, stays the same under increasing functions."""
    task_name, *rest = metric.split("/")
    if task_name == BIAS:
        return True
    task = tasks.by_name.get(task_name)
    if task is None or not rest or rest[0] not in task.metrics:
        return False
    return task.metrics[rest[0]].needs == "scores"
