"""A threshold per binary label, for F1 or a wanted precision, and what it brings out of fold.

The gain is estimated nested: each fold's rows are decided by thresholds that the other folds' rows
gave, so that no row takes part in choosing its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from auxfold.tasks import Task, label_slices
from auxfold.tasks.metrics import f1_at_half


def tune_thresholds(
    tasks: list[Task], labels: np.ndarray, oof: pd.DataFrame, folds: np.ndarray
) -> dict[str, Any]:
    """Thresholds of every binary column, and the macro F1 that they bring.

    Args:
        tasks: all tasks of the experiment.
        labels: as in ``Table.labels``.
        oof: out-of-fold predictions of the same rows.
        folds: their folds.

    Returns:
        ``values``: column to threshold, tuned on all rows; ``f1``: task to ``at_half`` and
        ``tuned`` (nested; None with one fold), means over the columns that have a positive row.
        Empty without a binary task.
    """
    values: dict[str, float] = {}
    f1: dict[str, dict[str, float | None]] = {}
    nested = len(np.unique(folds)) > 1
    for task, columns in label_slices(tasks):
        if task.settings.kind != "binary":
            continue
        plain, tuned = [], []
        for column, truth in zip(task.settings.columns, labels[:, columns].T, strict=True):
            scores = oof[column].to_numpy()
            values[column] = best_threshold(truth, scores)
            plain.append(f1_at_half(truth, scores))
            tuned.append(f1_at_half(truth, _decided(truth, scores, folds)) if nested else None)
        f1[task.name] = {"at_half": _mean(plain), "tuned": _mean(tuned)}
    return {"values": values, "f1": f1} if values else {}


def best_threshold(labels: np.ndarray, scores: np.ndarray) -> float:
    """The threshold whose ``scores >= threshold`` has the highest F1 for ``labels >= 0.5``.

    Half-way between two neighbouring scores; 0.5 where no row is positive. Of equally good ones
    the highest.
    """
    ranked, hits, taken, positives = _cuts(labels, scores)
    if positives == 0:
        return 0.5
    return _between(ranked, int(np.argmax(2 * hits / (taken + positives))))


def threshold_at_precision(
    labels: np.ndarray, scores: np.ndarray, precision: float
) -> float | None:
    """The lowest threshold whose ``scores >= threshold`` has at least this precision.

    Lower ones find more of the positive rows; None where no threshold is that precise.
    """
    ranked, hits, taken, _ = _cuts(labels, scores)
    precise = np.flatnonzero(hits / taken >= precision)
    return _between(ranked, int(precise[-1])) if len(precise) else None


def tune_for_precision(
    tasks: list[Task],
    labels: np.ndarray,
    oof: pd.DataFrame,
    folds: np.ndarray,
    precision: float,
) -> dict[str, Any]:
    """Thresholds of every binary column for a wanted precision, and what they give.

    Returns:
        ``values``: column to threshold, tuned on all rows (None: no threshold is that precise);
        ``nested``: column to ``precision`` and ``recall`` of rows decided by the other folds'
        thresholds (None where nothing is decided positive, or is positive); empty with one fold.
    """
    values: dict[str, float | None] = {}
    nested: dict[str, dict[str, float | None]] = {}
    several = len(np.unique(folds)) > 1
    for task, columns in label_slices(tasks):
        if task.settings.kind != "binary":
            continue
        for column, truth in zip(task.settings.columns, labels[:, columns].T, strict=True):
            scores = oof[column].to_numpy()
            values[column] = threshold_at_precision(truth, scores, precision)
            cut = partial(threshold_at_precision, precision=precision)
            if several:
                decided = _decided(truth, scores, folds, cut)
                nested[column] = _precision_and_recall(truth, decided)
    return {"values": values, "nested": nested}


def _cuts(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Distinct scores from the highest, positive rows and rows down to each, all positive rows."""
    known = ~np.isnan(labels)
    positive, scores = labels[known] >= 0.5, scores[known]
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(positive[order])
    last = np.append(ranked[1:] != ranked[:-1], True)[: len(ranked)]  # equal ones go together
    return ranked[last], hits[last], np.flatnonzero(last) + 1, int(positive.sum())


def _between(ranked: np.ndarray, place: int) -> float:
    """Half-way between a score and the next lower one."""
    below = ranked[place + 1] if place + 1 < len(ranked) else 0.0
    middle = float((ranked[place] + below) / 2)
    # Neighbouring floats have no number between them.
    return middle if below < middle <= ranked[place] else float(ranked[place])


def _decided(
    labels: np.ndarray,
    scores: np.ndarray,
    folds: np.ndarray,
    cut: Callable[[np.ndarray, np.ndarray], float | None] = best_threshold,
) -> np.ndarray:
    """1 or 0 per row, each by the threshold of the other folds; without one 0."""
    made = np.zeros(len(labels))
    for fold in np.unique(folds):
        own = folds == fold
        threshold = cut(labels[~own], scores[~own])
        if threshold is not None:
            made[own] = scores[own] >= threshold
    return made


def _precision_and_recall(labels: np.ndarray, decided: np.ndarray) -> dict[str, float | None]:
    known = ~np.isnan(labels)
    positive, taken = labels[known] >= 0.5, decided[known] == 1
    hits = (positive & taken).sum()
    return {
        "precision": float(hits / taken.sum()) if taken.any() else None,
        "recall": float(hits / positive.sum()) if positive.any() else None,
    }


def _mean(values: list[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
