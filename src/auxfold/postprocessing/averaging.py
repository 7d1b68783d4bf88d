"""Several models' predictions of the same rows as one: a mean, on one of four scales.

``probability`` is the plain mean; ``logit`` the mean of logits (of classes, of log-probabilities);
``rank`` the mean of ranks over the rows at hand; ``power`` the power mean (mean of p^k)^(1/k), in
which the surest models speak loudest (k = 3.5: second place of Jigsaw Unintended Bias 2019).

A prediction is put onto the scale, averaged there, with or without weights, and taken back.
Everything here is numpy alone: it is part of prediction.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from auxfold.errors import InputError, nearest
from auxfold.tasks import Task

KINDS_OF = {
    "probability": ("binary", "multiclass", "regression"),
    "logit": ("binary", "multiclass", "regression"),  # a regression's logits are its predictions
    "rank": ("binary",),
    "power": ("binary", "multiclass"),
}
AVERAGES = tuple(KINDS_OF)
EPS = 1e-15  # no probability is nearer to 0 or 1 than this where logits are taken


def check_average(average: str, tasks: Iterable[Task], n_rows: int) -> None:
    """Refuse an average that has no meaning, before anything is computed.

    Raises:
        InputError: an unknown one, one that is not for a task's kind, or the rank of a single row.
    """
    if average not in KINDS_OF:
        raise InputError(
            f"average = {average!r}{nearest(average, AVERAGES)}; one of {', '.join(AVERAGES)}"
        )
    for task in tasks:
        if task.settings.kind not in KINDS_OF[average]:
            others = [name for name, kinds in KINDS_OF.items() if task.settings.kind in kinds]
            raise InputError(
                f"average = {average!r} is for {' and '.join(KINDS_OF[average])} tasks; task "
                f"{task.name!r} is a {task.settings.kind} task: take {' or '.join(others)}"
            )
    if average == "rank" and n_rows == 1:
        raise InputError(
            "average = 'rank': a row's rank depends on the other rows, and there is one row alone; "
            "take probability, logit or power"
        )


def to_scale(task: Task, predictions: np.ndarray, average: str, power: float) -> np.ndarray:
    """Predictions of a task, ``(rows, n_outputs)``, on the scale on which they are averaged."""
    if average == "rank":
        return np.stack([ranks(column) for column in predictions.T], axis=1)
    if average == "power":
        return predictions.astype(np.float64) ** power
    if average == "logit" and task.settings.kind != "regression":
        return logits_of(task, predictions)
    return predictions.astype(np.float64)


def from_scale(task: Task, means: np.ndarray, average: str, power: float) -> np.ndarray:
    """Means on a scale as predictions; the inverse of :func:`to_scale`, but of ranks.

    Mean ranks stay mean ranks: they order the rows, and are no probabilities.
    """
    if average == "logit":
        return task.activate(means)
    if average == "power":
        made = means ** (1 / power)
        # Class by class: what is left is to make them sum to one again.
        return made / made.sum(axis=1, keepdims=True) if _has_classes(task) else made
    # Rows of equal rank sums are ties, whatever their summands' rounding says.
    return np.round(means, 12) if average == "rank" else means


def output_weights(task: Task, weights: dict[str, np.ndarray]) -> np.ndarray:
    """``(models, n_outputs)`` of weights by label column; a column's classes share its weights."""
    columns = [weights[column] for column in task.settings.columns]
    return np.stack(columns * (task.n_outputs // len(columns)), axis=1)


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks of ``(rows,)`` scaled to (0, 1]: the largest is 1; ties are at their mean."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2
    return mean_ranks[places] / max(len(values), 1)


def logits_of(task: Task, probabilities: np.ndarray) -> np.ndarray:
    """What ``task.activate`` makes these probabilities of; of classes up to a constant per row."""
    if _has_classes(task):
        return np.log(np.maximum(probabilities.astype(np.float64), EPS))
    inside = np.clip(probabilities.astype(np.float64), EPS, 1 - EPS)
    return np.log(inside) - np.log1p(-inside)


def _has_classes(task: Task) -> bool:
    return task.settings.kind == "multiclass"
