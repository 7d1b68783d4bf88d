"""Metrics of decisions: F1 of a probability at 0.5, and those of the likeliest class."""

from __future__ import annotations

import numpy as np

from auxfold.tasks.metrics.metric import ratio


def f1_at_half(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """F1 of ``probabilities >= 0.5``; None without a positive row. Its mean is the macro F1.

    Args:
        labels: ``(rows,)`` in [0, 1], positive from 0.5; NaN rows are left out.
        probabilities: ``(rows,)``.
    """
    known = ~np.isnan(labels)
    positive, predicted = labels[known] >= 0.5, probabilities[known] >= 0.5
    if not positive.any():
        return None
    true_positives = (positive & predicted).sum()
    return float(2 * true_positives / (positive.sum() + predicted.sum()))


def confusion(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """``(classes, classes)`` counts, true class by row, likeliest class by column.

    Args:
        labels: ``(rows,)`` class numbers; NaN rows are left out.
        probabilities: ``(rows, classes)``.
    """
    n = probabilities.shape[1]
    known = ~np.isnan(labels)
    pairs = labels[known].astype(int) * n + probabilities[known].argmax(axis=1)
    return np.bincount(pairs, minlength=n * n).reshape(n, n)


def accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Share of rows whose likeliest class is the true one."""
    counts = confusion(labels, probabilities)
    return ratio(np.trace(counts), counts.sum())


def balanced_accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Mean recall of the classes that have rows."""
    counts = confusion(labels, probabilities)
    rows = counts.sum(axis=1)
    present = rows > 0
    return float(np.mean(np.diag(counts)[present] / rows[present])) if present.any() else None


def precision(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Macro precision over the classes in labels or predictions; 0 for one never predicted."""
    counts = confusion(labels, probabilities)
    return _macro(np.diag(counts), counts.sum(axis=0), counts)


def recall(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Macro recall over the classes in labels or predictions; 0 for one without a label."""
    counts = confusion(labels, probabilities)
    return _macro(np.diag(counts), counts.sum(axis=1), counts)


def f_beta(labels: np.ndarray, probabilities: np.ndarray, beta: float = 1.0) -> float | None:
    """Macro F-beta over the classes in labels or predictions."""
    counts = confusion(labels, probabilities)
    true, predicted, true_positives = counts.sum(axis=1), counts.sum(axis=0), np.diag(counts)
    return _macro((1 + beta**2) * true_positives, beta**2 * true + predicted, counts)


def matthews(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Matthews correlation of several classes (Gorodkin 2004).

    None where all labels, or all predictions, are of one class.
    """
    counts = confusion(labels, probabilities).astype(np.float64)
    true, predicted, rows = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    covariance = np.trace(counts) * rows - true @ predicted
    spread = (rows**2 - true @ true) * (rows**2 - predicted @ predicted)
    return ratio(covariance, np.sqrt(spread))


def _macro(parts: np.ndarray, wholes: np.ndarray, counts: np.ndarray) -> float | None:
    """Mean of ``parts / wholes`` over the classes in ``counts``; 0 for an empty whole."""
    present = (counts.sum(axis=0) + counts.sum(axis=1)) > 0
    values = np.divide(parts, wholes, out=np.zeros(len(parts)), where=wholes > 0)
    return float(np.mean(values[present])) if present.any() else None
