"""Metrics of decisions: of a probability at 0.5, of the likeliest class, and of the first k.

The formulas are those of scikit-learn, computed on the counts of true and predicted classes, which
is as exact as on rows and much faster. An undefined metric is None.
"""

from __future__ import annotations

import numpy as np

from auxfold.tasks.metrics.metric import ratio


def class_numbers(labels: np.ndarray) -> np.ndarray:
    """``(rows,)`` class numbers, NaN where not labeled.

    Args:
        labels: ``(rows,)`` class numbers already, or ``(rows, classes)`` shares, of which the class
            of the largest share counts (the first of equal ones).
    """
    if labels.ndim == 1:
        return labels
    is_empty = np.isnan(labels).any(axis=1)
    return np.where(is_empty, np.nan, np.nan_to_num(labels).argmax(axis=1))


def confusion(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """``(classes, classes)`` counts, true class by row, likeliest class by column.

    Args:
        labels: ``(rows,)`` class numbers, or ``(rows, classes)`` shares; NaN rows are left out.
        probabilities: ``(rows, classes)``.
    """
    labels = class_numbers(labels)
    n = probabilities.shape[1]
    known = ~np.isnan(labels)
    pairs = labels[known].astype(int) * n + probabilities[known].argmax(axis=1)
    return np.bincount(pairs, minlength=n * n).reshape(n, n)


def confusion_at_half(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """``(2, 2)`` counts of ``labels >= 0.5`` by row and ``probabilities >= 0.5`` by column.

    Args:
        labels: ``(rows,)`` in [0, 1]; NaN rows are left out.
        probabilities: ``(rows,)``.
    """
    known = ~np.isnan(labels)
    pairs = 2 * (labels[known] >= 0.5) + (probabilities[known] >= 0.5)
    return np.bincount(pairs, minlength=4).reshape(2, 2)


def f1_at_half(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """F1 of ``probabilities >= 0.5``; None without a positive row. Its mean is the macro F1.

    Args:
        labels: ``(rows,)`` in [0, 1], positive from 0.5; NaN rows are left out.
        probabilities: ``(rows,)``.
    """
    (_, false_positives), (misses, hits) = confusion_at_half(labels, probabilities)
    if misses + hits == 0:
        return None
    return float(2 * hits / (2 * hits + misses + false_positives))


def accuracy_at_half(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Share of rows that ``probabilities >= 0.5`` decides right; None without labels."""
    return _accuracy(confusion_at_half(labels, probabilities))


def balanced_accuracy_at_half(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Mean of the recalls of both classes at 0.5; None where only one class has labels."""
    counts = confusion_at_half(labels, probabilities)
    return _balanced_accuracy(counts) if counts.any(axis=1).all() else None


def matthews_at_half(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Matthews correlation at 0.5; None where all labels, or all decisions, are of one class."""
    return _matthews(confusion_at_half(labels, probabilities))


def kappa_at_half(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Cohen's kappa at 0.5; None where labels and decisions are all of the same class."""
    counts = confusion_at_half(labels, probabilities)
    if not counts.any():
        return None
    differs = 1.0 - np.eye(2)
    by_chance = np.outer(counts.sum(axis=0), counts.sum(axis=1)) / counts.sum()
    expected = (differs * by_chance).sum()
    return float(1 - (differs * counts).sum() / expected) if expected else None


def accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Share of rows whose likeliest class is the true one."""
    return _accuracy(confusion(labels, probabilities))


def balanced_accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Mean recall of the classes that have rows."""
    return _balanced_accuracy(confusion(labels, probabilities))


def precision(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Macro precision over the classes in labels or predictions; 0 for one never predicted."""
    counts = confusion(labels, probabilities)
    return _mean_over_classes(counts, counts.diagonal(), counts.sum(axis=0))


def recall(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Macro recall over the classes in labels or predictions; 0 for one without a label."""
    counts = confusion(labels, probabilities)
    return _mean_over_classes(counts, counts.diagonal(), counts.sum(axis=1))


def f_beta(labels: np.ndarray, probabilities: np.ndarray, beta: float = 1.0) -> float | None:
    """Macro F-beta over the classes in labels or predictions."""
    counts = confusion(labels, probabilities)
    denominators = beta**2 * counts.sum(axis=1) + counts.sum(axis=0)
    return _mean_over_classes(counts, (1 + beta**2) * counts.diagonal(), denominators)


def matthews(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Matthews correlation of several classes (Gorodkin 2004).

    None where all labels, or all predictions, are of one class.
    """
    return _matthews(confusion(labels, probabilities))


def top_k_accuracy(labels: np.ndarray, probabilities: np.ndarray, k: int) -> float | None:
    """Share of rows whose true class is among the k likeliest ones; None without labels.

    Args:
        labels: ``(rows,)`` class numbers, or ``(rows, classes)`` shares; NaN rows are left out.
        probabilities: ``(rows, classes)``.
        k: how many classes count.
    """
    ranks = _true_class_ranks(labels, probabilities)
    return ratio((ranks <= k).sum(), len(ranks))


def map_at_k(labels: np.ndarray, probabilities: np.ndarray, k: int) -> float | None:
    """Kaggle's MAP@k with one true class: the mean of 1 / rank, 0 from rank k + 1 on.

    Arguments as in :func:`top_k_accuracy`.
    """
    ranks = _true_class_ranks(labels, probabilities)
    return ratio(np.where(ranks <= k, 1.0 / np.maximum(ranks, 1), 0.0).sum(), len(ranks))


def _mean_over_classes(
    counts: np.ndarray, numerators: np.ndarray, denominators: np.ndarray
) -> float | None:
    """The mean ratio of the classes in labels or predictions, 0 where a denominator is 0."""
    occurs = counts.any(axis=0) | counts.any(axis=1)
    if not occurs.any():
        return None
    ratios = np.divide(
        numerators, denominators, out=np.zeros(len(counts)), where=denominators != 0
    )  # fmt: skip
    return float(ratios[occurs].mean())


def _accuracy(counts: np.ndarray) -> float | None:
    return ratio(counts.trace(), counts.sum())


def _balanced_accuracy(counts: np.ndarray) -> float | None:
    rows = counts.sum(axis=1)
    if not rows.any():
        return None
    return float(np.mean(counts.diagonal()[rows > 0] / rows[rows > 0]))


def _matthews(counts: np.ndarray) -> float | None:
    # scikit-learn has 0 here, which is the value of a chance prediction.
    if min(counts.any(axis=0).sum(), counts.any(axis=1).sum()) < 2:
        return None
    true, predicted = counts.sum(axis=1, dtype=float), counts.sum(axis=0, dtype=float)
    n = predicted.sum()
    covariance = counts.trace() * n - true @ predicted
    variances = (n**2 - predicted @ predicted) * (n**2 - true @ true)
    return float(covariance / np.sqrt(variances))


def _true_class_ranks(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """``(labeled rows,)`` rank of the true class from 1; of equal classes the first is ahead."""
    labels = class_numbers(labels)
    known = ~np.isnan(labels)
    true, probabilities = labels[known].astype(int), probabilities[known]
    of_true_class = probabilities[np.arange(len(true)), true][:, None]
    is_before = np.arange(probabilities.shape[1]) < true[:, None]
    is_ahead = (probabilities > of_true_class) | ((probabilities == of_true_class) & is_before)
    return 1 + is_ahead.sum(axis=1)
