"""Metrics of numbers: correlations and errors.

All of them take labels ``(rows,)``, NaN where not labeled, and predictions ``(rows,)``.
"""

from __future__ import annotations

import numpy as np


def pearson(labels: np.ndarray, predictions: np.ndarray) -> float | None:
    """Linear correlation; None where labels or predictions are constant."""
    y, p = _labeled(labels, predictions)
    if len(y) < 2 or y.min() == y.max() or p.min() == p.max():
        return None
    value = np.corrcoef(y, p)[0, 1]  # NaN where a spread is too small for a float's square
    return float(np.clip(value, -1.0, 1.0)) if np.isfinite(value) else None


def spearman(labels: np.ndarray, predictions: np.ndarray) -> float | None:
    """Correlation of ranks, ties at their mean; None where labels or predictions are constant."""
    from scipy.stats import rankdata  # not at the top: prediction needs no scipy

    y, p = _labeled(labels, predictions)
    return pearson(rankdata(y), rankdata(p))


def mse(labels: np.ndarray, predictions: np.ndarray) -> float | None:
    """Mean squared error; None without labels."""
    y, p = _labeled(labels, predictions)
    return float(np.mean((y - p) ** 2)) if len(y) else None


def rmse(labels: np.ndarray, predictions: np.ndarray) -> float | None:
    """Square root of the mean squared error; None without labels."""
    error = mse(labels, predictions)
    return None if error is None else error**0.5


def mae(labels: np.ndarray, predictions: np.ndarray) -> float | None:
    """Mean absolute error; None without labels."""
    y, p = _labeled(labels, predictions)
    return float(np.mean(np.abs(y - p))) if len(y) else None


def r2(labels: np.ndarray, predictions: np.ndarray) -> float | None:
    """Share of the labels' variance that is explained; None where labels are constant."""
    y, p = _labeled(labels, predictions)
    if len(y) < 2 or y.min() == y.max():
        return None
    return float(1 - np.sum((y - p) ** 2) / np.sum((y - y.mean()) ** 2))


def _labeled(labels: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = ~np.isnan(labels)
    return labels[known].astype(np.float64), predictions[known].astype(np.float64)
