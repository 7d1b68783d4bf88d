"""Metrics of ordered classes, whose numbers from 0 tell how far apart they are."""

from __future__ import annotations

import numpy as np

from auxfold.tasks.metrics.classification import confusion
from auxfold.tasks.metrics.metric import ratio


def quadratic_kappa(labels: np.ndarray, predictions: np.ndarray) -> float | None:
    """Cohen's kappa with quadratic weights (Cohen 1968), 1 - Σ(y - p)² / its value by chance.

    By chance every label meets every prediction. The formula needs no table of counts, so that
    the numbers may be far apart.

    Args:
        labels: ``(rows,)`` whole numbers, NaN where not labeled.
        predictions: ``(rows,)`` whole numbers.

    Returns:
        The kappa; None without labels, and where labels and predictions are all the same number.
    """
    known = ~np.isnan(labels)
    y, p = labels[known].astype(np.float64), predictions[known].astype(np.float64)
    if not len(y):
        return None
    by_chance = (y**2).sum() + (p**2).sum() - 2 * y.sum() * p.sum() / len(y)
    error = ratio(((y - p) ** 2).sum(), by_chance)
    return None if error is None else 1.0 - error


def class_quadratic_kappa(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Quadratic kappa of the likeliest class.

    Args:
        labels: ``(rows,)`` class numbers; NaN rows are left out.
        probabilities: ``(rows, classes)``.
    """
    return quadratic_kappa(labels, probabilities.argmax(axis=1))


def rounded_quadratic_kappa(labels: np.ndarray, predictions: np.ndarray) -> float | None:
    """Quadratic kappa of predictions that are rounded to whole numbers.

    Predictions beyond the labels count as the nearest label. None where a label is no whole number.

    Args:
        labels: ``(rows,)`` numbers; NaN rows are left out.
        predictions: ``(rows,)``.
    """
    known = ~np.isnan(labels)
    y = labels[known]
    if not len(y) or (y != np.rint(y)).any():
        return None
    return quadratic_kappa(y, np.rint(np.clip(predictions[known], y.min(), y.max())))


def class_distance(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Mean absolute difference of the numbers of the likeliest class and the true one."""
    counts = confusion(labels, probabilities)
    return ratio((counts * _distances(len(counts))).sum(), counts.sum())


def within_one(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Share of rows whose likeliest class is the true one or next to it."""
    counts = confusion(labels, probabilities)
    return ratio(counts[_distances(len(counts)) <= 1].sum(), counts.sum())


def _distances(n_classes: int) -> np.ndarray:
    numbers = np.arange(n_classes)
    return np.abs(numbers[:, None] - numbers)
