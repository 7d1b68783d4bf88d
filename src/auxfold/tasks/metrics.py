"""Metrics by name. A metric that is undefined on the given rows is None, never 0 and never NaN."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np


def roc_auc(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Area under the ROC curve of ``scores`` for ``labels >= 0.5``; ties count one half.

    Args:
        labels: ``(rows,)`` in [0, 1], NaN rows are left out.
        scores: ``(rows,)`` any monotone score.

    Returns:
        The area, or None when only one class is present.
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
    """Mean precision over the recall steps, ties taken together; None without a positive row."""
    known = ~np.isnan(labels)
    positive, scores = labels[known] >= 0.5, scores[known]
    if not positive.any():
        return None
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positive[order])
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    hits, seen = hits[last_of_tie], np.flatnonzero(last_of_tie) + 1
    return float(np.sum(np.diff(hits, prepend=0) / hits[-1] * (hits / seen)))


def f1_at_half(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """F1 of ``probabilities >= 0.5``; None without a positive row. Its mean is the macro F1."""
    known = ~np.isnan(labels)
    positive, predicted = labels[known] >= 0.5, probabilities[known] >= 0.5
    if not positive.any():
        return None
    hits = (positive & predicted).sum()
    return float(2 * hits / (positive.sum() + predicted.sum()))


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Mean cross-entropy against the labels as they are (soft ones too); None without labels."""
    known = ~np.isnan(labels)
    if not known.any():
        return None
    y, p = labels[known].astype(np.float64), np.clip(probabilities[known], 1e-7, 1 - 1e-7)
    return float(-np.mean(y * np.log(p) + (1 - y) * np.log1p(-p)))


def confusion(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """``(classes, classes)`` counts, true class by row, likeliest class by column."""
    n = probabilities.shape[1]
    known = ~np.isnan(labels)
    pairs = labels[known].astype(int) * n + probabilities[known].argmax(axis=1)
    return np.bincount(pairs, minlength=n * n).reshape(n, n)


def accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Share of rows whose likeliest class is the true one."""
    counts = confusion(labels, probabilities)
    return _ratio(np.trace(counts), counts.sum())


def balanced_accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Mean recall of the classes that have rows."""
    counts = confusion(labels, probabilities)
    rows = counts.sum(axis=1)
    there = rows > 0
    return float(np.mean(np.diag(counts)[there] / rows[there])) if there.any() else None


def precision(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Macro precision over the classes that stand in labels or predictions; unpredicted: 0."""
    counts = confusion(labels, probabilities)
    return _macro(np.diag(counts), counts.sum(axis=0), counts)


def recall(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Macro recall over the classes that stand in labels or predictions; unlabelled: 0."""
    counts = confusion(labels, probabilities)
    return _macro(np.diag(counts), counts.sum(axis=1), counts)


def f_beta(labels: np.ndarray, probabilities: np.ndarray, beta: float = 1.0) -> float | None:
    """Macro F-beta over the classes that stand in labels or predictions."""
    counts = confusion(labels, probabilities)
    true, predicted, hits = counts.sum(axis=1), counts.sum(axis=0), np.diag(counts)
    return _macro((1 + beta**2) * hits, beta**2 * true + predicted, counts)


def auroc(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Mean over classes of the ROC area of each class against the rest, where it is defined."""
    flags = np.where(np.isnan(labels), np.nan, 0.0)[:, None] + (
        labels[:, None] == np.arange(probabilities.shape[1])
    )
    pairs = zip(flags.T, probabilities.T, strict=True)
    areas = [area for f, p in pairs if (area := roc_auc(f, p)) is not None]
    return float(np.mean(areas)) if areas else None


def matthews(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Matthews correlation of several classes (Gorodkin 2004); None where one class is alone."""
    counts = confusion(labels, probabilities).astype(np.float64)
    true, predicted, rows = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    covariance = np.trace(counts) * rows - true @ predicted
    spread = (rows**2 - true @ true) * (rows**2 - predicted @ predicted)
    return _ratio(covariance, np.sqrt(spread))


def class_log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Mean of minus the logarithm of the true class's probability."""
    known = ~np.isnan(labels)
    if not known.any():
        return None
    right = probabilities[known][np.arange(known.sum()), labels[known].astype(int)]
    return float(-np.mean(np.log(np.clip(right, 1e-15, None))))


def pearson(labels: np.ndarray, predictions: np.ndarray) -> float | None:
    """Linear correlation; None where labels or predictions are constant."""
    y, p = _known(labels, predictions)
    if len(y) < 2 or y.min() == y.max() or p.min() == p.max():
        return None
    value = np.corrcoef(y, p)[0, 1]  # NaN where a spread is too small for a float's square
    return float(np.clip(value, -1.0, 1.0)) if np.isfinite(value) else None


def spearman(labels: np.ndarray, predictions: np.ndarray) -> float | None:
    """Correlation of ranks, ties at their mean; None where labels or predictions are constant."""
    from scipy.stats import rankdata

    y, p = _known(labels, predictions)
    return pearson(rankdata(y), rankdata(p))


def mse(labels: np.ndarray, predictions: np.ndarray) -> float | None:
    """Mean squared error."""
    y, p = _known(labels, predictions)
    return float(np.mean((y - p) ** 2)) if len(y) else None


def rmse(labels: np.ndarray, predictions: np.ndarray) -> float | None:
    """Square root of the mean squared error."""
    error = mse(labels, predictions)
    return None if error is None else error**0.5


def mae(labels: np.ndarray, predictions: np.ndarray) -> float | None:
    """Mean absolute error."""
    y, p = _known(labels, predictions)
    return float(np.mean(np.abs(y - p))) if len(y) else None


def r2(labels: np.ndarray, predictions: np.ndarray) -> float | None:
    """Share of the labels' variance that is explained; None where labels are constant."""
    y, p = _known(labels, predictions)
    if len(y) < 2 or y.min() == y.max():
        return None
    return float(1 - np.sum((y - p) ** 2) / np.sum((y - y.mean()) ** 2))


def mean_defined(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are defined; None where none is."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _known(labels: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = ~np.isnan(labels)
    return labels[known].astype(np.float64), predictions[known].astype(np.float64)


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole > 0 else None


def _macro(parts: np.ndarray, wholes: np.ndarray, counts: np.ndarray) -> float | None:
    there = (counts.sum(axis=0) + counts.sum(axis=1)) > 0
    values = np.divide(parts, wholes, out=np.zeros(len(parts)), where=wholes > 0)
    return float(np.mean(values[there])) if there.any() else None


Metric = Callable[[np.ndarray, np.ndarray], float | None]

BINARY_METRICS: dict[str, Metric] = {
    "auc": roc_auc,
    "ap": average_precision,
    "f1": f1_at_half,
    "log_loss": log_loss,
}
MULTICLASS_METRICS: dict[str, Metric] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "precision": precision,
    "recall": recall,
    "f1": f_beta,
    "f0.5": partial(f_beta, beta=0.5),
    "auroc": auroc,
    "mcc": matthews,
    "log_loss": class_log_loss,
}
REGRESSION_METRICS: dict[str, Metric] = {
    "spearman": spearman,
    "pearson": pearson,
    "rmse": rmse,
    "mse": mse,
    "mae": mae,
    "r2": r2,
}
LOWER_IS_BETTER = {"log_loss", "rmse", "mse", "mae", "mcrmse"}


def higher_is_better(metric: str) -> bool:
    """Whether a larger value of ``<task>/<metric>[/<column>]`` or ``<metric>`` is better."""
    return metric_name(metric) not in LOWER_IS_BETTER


def metric_name(metric: str) -> str:
    """``auc`` of ``<task>/auc``, ``<task>/auc/<column>`` and ``auc``."""
    parts = metric.split("/")
    return parts[1] if len(parts) > 1 else parts[0]
