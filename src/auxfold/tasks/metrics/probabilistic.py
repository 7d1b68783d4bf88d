"""Metrics of probabilities: how likely they made the labels, and how well they are calibrated."""

from __future__ import annotations

import numpy as np

N_BINS = 10  # of equal width, for the calibration error


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

    Of shares it is the cross-entropy, Σ share · -log(probability).

    Args:
        labels: ``(rows,)`` class numbers, or ``(rows, classes)`` shares; NaN rows are left out.
        probabilities: ``(rows, classes)``.
    """
    if labels.ndim == 2:
        known = ~np.isnan(labels).any(axis=1)
        if not known.any():
            return None
        logs = np.log(np.clip(probabilities[known], 1e-15, None))
        return float(-np.mean((labels[known].astype(np.float64) * logs).sum(axis=1)))
    known = ~np.isnan(labels)
    if not known.any():
        return None
    of_true_class = probabilities[known][np.arange(known.sum()), labels[known].astype(int)]
    return float(-np.mean(np.log(np.clip(of_true_class, 1e-15, None))))


def brier(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Mean squared distance to the labels as they are (Brier 1950); None without labels.

    Args:
        labels: ``(rows,)`` in [0, 1]; NaN rows are left out.
        probabilities: ``(rows,)``.
    """
    known = ~np.isnan(labels)
    return float(np.mean((labels[known] - probabilities[known]) ** 2)) if known.any() else None


def expected_calibration_error(labels: np.ndarray, values: np.ndarray) -> float | None:
    """Mean distance of mean prediction and mean label in a bin, weighted by the rows of the bins.

    There are ten bins of equal width. Naeini et al. 2015, *Obtaining well calibrated probabilities
    using Bayesian binning*.

    Args:
        labels: ``(rows,)``, NaN where not labeled.
        values: ``(rows,)`` probabilities.

    Returns:
        The error, or None without labels.
    """
    mean_values, mean_labels, counts = reliability_curve(labels, values)
    if not len(counts):
        return None
    return float(np.average(np.abs(mean_values - mean_labels), weights=counts))


def reliability_curve(
    labels: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean prediction, mean label and number of rows in ten bins of equal width.

    Bins without a labeled row are left out.

    Args:
        labels: ``(rows,)``, NaN where not labeled.
        values: ``(rows,)`` probabilities.

    Returns:
        Three arrays ``(bins,)``.
    """
    known = ~np.isnan(labels)
    labels, values = labels[known], values[known]
    bins = np.minimum((values * N_BINS).astype(int), N_BINS - 1)
    indices_by_bin = [np.flatnonzero(bins == number) for number in np.unique(bins)]
    mean_values = np.array([values[indices].mean() for indices in indices_by_bin])
    mean_labels = np.array([labels[indices].mean() for indices in indices_by_bin])
    return mean_values, mean_labels, np.array([len(indices) for indices in indices_by_bin])
