"""Metrics by name. A metric that is undefined on the given rows is None, never 0 and never NaN."""

from __future__ import annotations

from collections.abc import Callable

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


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Mean cross-entropy against the labels as they are (soft ones too); None without labels."""
    known = ~np.isnan(labels)
    if not known.any():
        return None
    y, p = labels[known].astype(np.float64), np.clip(probabilities[known], 1e-7, 1 - 1e-7)
    return float(-np.mean(y * np.log(p) + (1 - y) * np.log1p(-p)))


METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float | None]] = {
    "auc": roc_auc,
    "ap": average_precision,
    "log_loss": log_loss,
}


def binary_metrics(
    labels: np.ndarray, probabilities: np.ndarray, columns: list[str]
) -> dict[str, float | None]:
    """``auc``, ``ap`` and ``log_loss``: means over columns, then ``<metric>/<column>`` of each.

    A mean is taken over the columns on which the metric is defined; None if there is none.
    """
    means: dict[str, float | None] = {}
    single: dict[str, float | None] = {}
    for name, function in METRICS.items():
        values = [function(labels[:, i], probabilities[:, i]) for i in range(len(columns))]
        defined = [v for v in values if v is not None]
        means[name] = float(np.mean(defined)) if defined else None
        if len(columns) > 1:
            single |= {f"{name}/{c}": v for c, v in zip(columns, values, strict=True)}
    return means | single


def higher_is_better(metric: str) -> bool:
    """Whether a larger value of ``<task>/<metric>[/<column>]`` is the better one."""
    return metric.split("/")[1] not in {"log_loss", "loss"}
