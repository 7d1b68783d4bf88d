"""Predictions processed by what was fitted on the other folds, so that gains are honest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

Fitted = TypeVar("Fitted")


def apply_nested(
    labels: np.ndarray,
    predictions: np.ndarray,
    folds: np.ndarray,
    fit: Callable[[np.ndarray, np.ndarray], Fitted],
    apply: Callable[[np.ndarray, Fitted], np.ndarray],
) -> np.ndarray:
    """The rows of each fold, processed by what was fitted on the rows of the other folds.

    Args:
        labels: ``(rows,)``, NaN where not labeled.
        predictions: ``(rows,)`` or ``(rows, n_outputs)`` floats.
        folds: the fold of each row, ``(rows,)``.
        fit: labels and predictions of some rows to what is fitted on them.
        apply: predictions of other rows, and what was fitted, to the processed predictions.

    Returns:
        The processed predictions, of the shape of ``predictions``.
    """
    processed = np.empty_like(predictions)
    for fold in np.unique(folds):
        in_fold = folds == fold
        fitted = fit(labels[~in_fold], predictions[~in_fold])
        processed[in_fold] = apply(predictions[in_fold], fitted)
    return processed
