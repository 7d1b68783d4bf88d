"""Metrics of an order: how well predictions put positive rows before negative ones."""

from __future__ import annotations

import numpy as np

from auxfold.tasks.metrics.classification import class_numbers
from auxfold.tasks.metrics.metric import mean_defined


def roc_auc(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Area under the ROC curve of ``scores`` for ``labels >= 0.5``; ties count one half.

    Args:
        labels: ``(rows,)`` in [0, 1]; NaN rows are left out.
        scores: ``(rows,)``; only their order counts.

    Returns:
        The area, or None where only one class is present.
    """
    known = ~np.isnan(labels)
    positive = labels[known] >= 0.5
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if n_positive == 0 or n_negative == 0:
        return None
    from scipy.stats import rankdata  # not at the top: prediction needs no scipy

    ranks = rankdata(scores[known])
    wins = ranks[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(wins / (n_positive * n_negative))


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Mean precision over the recall steps, ties taken together; None without a positive row.

    Args:
        labels: ``(rows,)`` in [0, 1], positive from 0.5; NaN rows are left out.
        scores: ``(rows,)``; only their order counts.
    """
    known = ~np.isnan(labels)
    positive, scores = labels[known] >= 0.5, scores[known]
    if not positive.any():
        return None
    order = np.argsort(-scores, kind="stable")
    true_positives = np.cumsum(positive[order])
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    true_positives = true_positives[last_of_tie]
    predicted_positives = np.flatnonzero(last_of_tie) + 1
    recall_steps = np.diff(true_positives, prepend=0) / true_positives[-1]
    return float(np.sum(recall_steps * (true_positives / predicted_positives)))


def auroc(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Mean over classes of the ROC area of each class against the rest, where it is defined.

    Args:
        labels: ``(rows,)`` class numbers, or ``(rows, classes)`` shares; NaN rows are left out.
        probabilities: ``(rows, classes)``.
    """
    labels = class_numbers(labels)
    flags = np.where(np.isnan(labels), np.nan, 0.0)[:, None] + (
        labels[:, None] == np.arange(probabilities.shape[1])
    )
    return mean_defined(roc_auc(f, p) for f, p in zip(flags.T, probabilities.T, strict=True))
