"""A threshold per binary label, for the best F1 or a target precision, and its out-of-fold gain.

The gain is estimated nested: the rows of each fold are decided by thresholds that were tuned on the
other folds, so that no row takes part in tuning its own threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from auxfold.postprocessing.nested import apply_nested
from auxfold.tasks import Task, TaskSet
from auxfold.tasks.metrics import f1_at_half, mean_defined


def tune_thresholds(
    tasks: TaskSet, labels: np.ndarray, oof: pd.DataFrame, folds: np.ndarray
) -> dict[str, Any]:
    """Thresholds of all binary columns for the best F1, and the macro F1 that they bring.

    Args:
        tasks: the tasks of the predictions.
        labels: ``Table.labels``, ``(rows, label columns)``.
        oof: out-of-fold predictions of the same rows.
        folds: the fold of each row, ``(rows,)``.

    Returns:
        ``values``: column to threshold, tuned on all rows. ``f1_of_labels``: column to ``at_half``
        and ``tuned`` (nested; None with a single fold, and without a positive row). ``f1``: task to
        their means over the columns that have a positive row. Empty without a binary task.
    """
    values: dict[str, float] = {}
    f1: dict[str, dict[str, float | None]] = {}
    f1_of_labels: dict[str, dict[str, float | None]] = {}
    several_folds = len(np.unique(folds)) > 1
    for task, columns in _binary_tasks(tasks, labels, oof):
        for column, column_labels, scores in columns:
            values[column] = best_threshold(column_labels, scores)
            tuned = None
            if several_folds:
                decisions = decide_nested(column_labels, scores, folds, best_threshold)
                tuned = f1_at_half(column_labels, decisions)
            at_half = f1_at_half(column_labels, scores)
            f1_of_labels[column] = {"at_half": at_half, "tuned": tuned}
        of_task = [f1_of_labels[column] for column, _, _ in columns]
        f1[task.name] = {rule: mean_defined(f[rule] for f in of_task) for rule in of_task[0]}
    return {"values": values, "f1": f1, "f1_of_labels": f1_of_labels} if values else {}


def tune_for_precision(
    tasks: TaskSet,
    labels: np.ndarray,
    oof: pd.DataFrame,
    folds: np.ndarray,
    precision: float,
) -> dict[str, Any]:
    """Thresholds of all binary columns for a target precision, and what they bring.

    Args:
        tasks: the tasks of the predictions.
        labels: ``Table.labels``, ``(rows, label columns)``.
        oof: out-of-fold predictions of the same rows.
        folds: the fold of each row, ``(rows,)``.
        precision: the target, in (0, 1].

    Returns:
        ``values``: column to threshold, tuned on all rows (None: no threshold is that precise).
        ``nested``: column to ``precision`` and ``recall`` of rows decided by the thresholds of the
        other folds (None where no row is predicted positive, or none is positive); empty with a
        single fold.
    """
    values: dict[str, float | None] = {}
    nested: dict[str, dict[str, float | None]] = {}
    several_folds = len(np.unique(folds)) > 1
    choose_threshold = partial(threshold_at_precision, precision=precision)
    for _, columns in _binary_tasks(tasks, labels, oof):
        for column, column_labels, scores in columns:
            values[column] = choose_threshold(column_labels, scores)
            if several_folds:
                decisions = decide_nested(column_labels, scores, folds, choose_threshold)
                nested[column] = _precision_and_recall(column_labels, decisions)
    return {"values": values, "nested": nested}


def best_threshold(labels: np.ndarray, scores: np.ndarray) -> float:
    """The threshold with which ``scores >= threshold`` has the highest F1 for ``labels >= 0.5``.

    Args:
        labels: ``(rows,)`` in [0, 1], NaN where not labeled.
        scores: ``(rows,)``.

    Returns:
        A threshold half-way between two neighboring scores, the highest one among equally good
        ones; 0.5 where no row is positive.
    """
    counts = threshold_counts(labels, scores)
    if counts.positives == 0:
        return 0.5
    f1 = 2 * counts.true_positives / (counts.predicted_positives + counts.positives)
    return _midpoint_below(counts.scores, int(np.argmax(f1)))


def threshold_at_precision(
    labels: np.ndarray, scores: np.ndarray, precision: float
) -> float | None:
    """The lowest threshold with which ``scores >= threshold`` has at least this precision.

    The lowest one has the highest recall.

    Args:
        labels: ``(rows,)`` in [0, 1], NaN where not labeled.
        scores: ``(rows,)``.
        precision: the target, in (0, 1].

    Returns:
        A threshold half-way between two neighboring scores; None where none is that precise.
    """
    counts = threshold_counts(labels, scores)
    precise = np.flatnonzero(counts.true_positives / counts.predicted_positives >= precision)
    return _midpoint_below(counts.scores, int(precise[-1])) if len(precise) else None


class ThresholdCounts(NamedTuple):
    """Counts of rows for each threshold.

    Attributes:
        scores: the distinct scores from the highest to the lowest, ``(thresholds,)``.
        true_positives: positive rows with at least this score, ``(thresholds,)``.
        predicted_positives: rows with at least this score, ``(thresholds,)``.
        positives: all positive rows.
    """

    scores: np.ndarray
    true_positives: np.ndarray
    predicted_positives: np.ndarray
    positives: int


def threshold_counts(labels: np.ndarray, scores: np.ndarray) -> ThresholdCounts:
    """Count the rows that each distinct score predicts positive; rows without a label are ignored.

    Args:
        labels: ``(rows,)`` in [0, 1], NaN where not labeled; positive from 0.5 on.
        scores: ``(rows,)``.
    """
    known = ~np.isnan(labels)
    positive, scores = labels[known] >= 0.5, scores[known]
    order = np.argsort(-scores, kind="stable")
    ranked, true_positives = scores[order], np.cumsum(positive[order])
    # Equal scores are predicted positive together: the last row of each tie has their counts.
    last_of_tie = np.append(ranked[1:] != ranked[:-1], True)[: len(ranked)]
    predicted_positives = np.flatnonzero(last_of_tie) + 1
    return ThresholdCounts(
        ranked[last_of_tie], true_positives[last_of_tie], predicted_positives, int(positive.sum())
    )


def decide_nested(
    labels: np.ndarray,
    scores: np.ndarray,
    folds: np.ndarray,
    choose_threshold: Callable[[np.ndarray, np.ndarray], float | None],
) -> np.ndarray:
    """Decide each row by the threshold of the other folds.

    Args:
        labels: ``(rows,)``, NaN where not labeled.
        scores: ``(rows,)``.
        folds: the fold of each row, ``(rows,)``.
        choose_threshold: labels and scores to a threshold, or to None where there is none.

    Returns:
        ``(rows,)`` of 1 and 0; 0 where there is no threshold.
    """
    return apply_nested(labels, scores, folds, choose_threshold, _decide)


def _decide(scores: np.ndarray, threshold: float | None) -> np.ndarray:
    return np.zeros(len(scores)) if threshold is None else scores >= threshold


def _binary_tasks(
    tasks: TaskSet, labels: np.ndarray, oof: pd.DataFrame
) -> Iterator[tuple[Task, list[tuple[str, np.ndarray, np.ndarray]]]]:
    """Each binary task with its columns: their name, labels ``(rows,)`` and scores ``(rows,)``."""
    for task, columns in tasks.items():
        if task.has_positive_class:
            pairs = zip(task.settings.label_columns, labels[:, columns].T, strict=True)
            yield task, [(column, values, oof[column].to_numpy()) for column, values in pairs]


def _midpoint_below(scores: np.ndarray, index: int) -> float:
    """Half-way between a score and the next lower one; ``scores`` fall."""
    below = scores[index + 1] if index + 1 < len(scores) else 0.0
    middle = float((scores[index] + below) / 2)
    # There is no number between neighboring floats.
    return middle if below < middle <= scores[index] else float(scores[index])


def _precision_and_recall(labels: np.ndarray, decisions: np.ndarray) -> dict[str, float | None]:
    known = ~np.isnan(labels)
    positive, predicted = labels[known] >= 0.5, decisions[known] == 1
    true_positives = (positive & predicted).sum()
    return {
        "precision": float(true_positives / predicted.sum()) if predicted.any() else None,
        "recall": float(true_positives / positive.sum()) if positive.any() else None,
    }
