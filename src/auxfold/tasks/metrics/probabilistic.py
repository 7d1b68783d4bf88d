"""Metrics of probabilities: how likely the predictions made the labels."""

from __future__ import annotations

import numpy as np


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Mean cross-entropy against the labels as they are (soft ones too); None without labels.

    Args:
        labels: ``(rows,)`` in [0, 1]; NaN rows are left out.
        probabilities: ``(rows,)``.
    """
    known = ~np.isnan(labels)
    if not known.any():
        return None
    y, p = labels[known].astype(np.float64), np.clip(probabilities[known], 1e-7, 1 - 1e-7)
    return float(-np.mean(y * np.log(p) + (1 - y) * np.log1p(-p)))


def class_log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Mean of minus the logarithm of the true class's probability; None without labels.

    Args:
        labels: ``(rows,)`` class numbers; NaN rows are left out.
        probabilities: ``(rows, classes)``.
    """
    known = ~np.isnan(labels)
    if not known.any():
        return None
    of_true_class = probabilities[known][np.arange(known.sum()), labels[known].astype(int)]
    return float(-np.mean(np.log(np.clip(of_true_class, 1e-15, None))))
