"""A threshold per binary label, tuned for F1 on out-of-fold predictions, and what it brings.

The gain is estimated nested: each fold's rows are decided by thresholds that the other folds' rows
gave, so that no row takes part in choosing its own.
"""

from __future__ import annotations

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
    known = ~np.isnan(labels)
    positive, scores = labels[known] >= 0.5, scores[known]
    if not positive.any():
        return 0.5
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(positive[order])
    taken = np.arange(1, len(ranked) + 1)
    f1 = 2 * hits / (taken + positive.sum())
    f1[np.append(ranked[1:] == ranked[:-1], False)] = -1.0  # equal scores are cut together
    best = int(np.argmax(f1))
    below = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    middle = float((ranked[best] + below) / 2)
    # Neighbouring floats have no number between them.
    return middle if below < middle <= ranked[best] else float(ranked[best])


def _decided(labels: np.ndarray, scores: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """1 or 0 per row, each by the threshold of the other folds."""
    made = np.empty(len(labels))
    for fold in np.unique(folds):
        own = folds == fold
        made[own] = scores[own] >= best_threshold(labels[~own], scores[~own])
    return made


def _mean(values: list[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
