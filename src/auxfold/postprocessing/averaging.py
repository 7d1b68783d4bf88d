"""The mean of several models' predictions of the same rows, on one of four scales.

``probability`` is the plain mean, ``logit`` the mean of logits (of log-probabilities for classes),
``rank`` the mean of ranks over the rows, and ``power`` the power mean (mean of p^k)^(1/k), in which
the most confident models count most (k = 3.5: second place of Jigsaw Unintended Bias 2019).

Predictions are converted to the scale, averaged there with or without weights, and converted back.
This module imports numpy only, because it is part of inference.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from auxfold.errors import InputError, nearest
from auxfold.tasks import KINDS, Task

AVERAGES = ("probability", "logit", "rank", "power")


def check_average(average: str, tasks: Iterable[Task], n_rows: int) -> None:
    """Refuse an average that has no meaning, before anything is computed.

    Args:
        average: the name of the scale.
        tasks: the tasks whose predictions are averaged.
        n_rows: the number of rows.

    Raises:
        InputError: the average is unknown, does not suit a task's kind, or ranks a single row.
    """
    if average not in AVERAGES:
        raise InputError(
            f"average = {average!r}{nearest(average, AVERAGES)}; one of {', '.join(AVERAGES)}"
        )
    for task in tasks:
        if average not in task.averages:
            kinds = [kind for kind, task_class in KINDS.items() if average in task_class.averages]
            raise InputError(
                f"average = {average!r} is for {' and '.join(kinds)} tasks; task {task.name!r} is "
                f"a {task.kind} task: take {' or '.join(task.averages)}"
            )
    if average == "rank" and n_rows == 1:
        raise InputError(
            "average = 'rank': the rank of a row depends on the other rows, and there is only one "
            "row; take probability, logit or power"
        )


def to_scale(task: Task, predictions: np.ndarray, average: str, power: float) -> np.ndarray:
    """Predictions of a task on the scale on which they are averaged.

    Args:
        task: the task.
        predictions: ``(rows, n_outputs)``.
        average: one of :data:`AVERAGES`.
        power: the exponent of the power mean.

    Returns:
        ``(rows, n_outputs)`` in float64.
    """
    if average == "rank":
        return np.stack([scaled_ranks(column) for column in predictions.T], axis=1)
    if average == "power":
        return predictions.astype(np.float64) ** power
    return task.to_logits(predictions) if average == "logit" else predictions.astype(np.float64)


def from_scale(task: Task, means: np.ndarray, average: str, power: float) -> np.ndarray:
    """Means on a scale as predictions, the inverse of :func:`to_scale` except for ranks.

    Mean ranks stay mean ranks. They order the rows, but they are no probabilities.

    Args:
        task: the task.
        means: ``(rows, n_outputs)`` on the scale.
        average: one of :data:`AVERAGES`.
        power: the exponent of the power mean.

    Returns:
        ``(rows, n_outputs)``.
    """
    if average == "logit":
        return task.activate(means)
    if average == "power":
        # The power mean is taken output by output, so that those of a row need not sum to one.
        return task.normalize(means ** (1 / power))
    # Rows with the same sum of ranks are ties, even if rounding makes their sums differ.
    return np.round(means, 12) if average == "rank" else means


def output_weights(task: Task, weights: dict[str, np.ndarray]) -> np.ndarray:
    """The weights of models by output instead of by label column.

    Args:
        task: the task.
        weights: label column to ``(models,)``; the classes of a column share its weights.

    Returns:
        ``(models, n_outputs)``.
    """
    columns = [weights[column] for column in task.settings.targets]
    return np.stack(columns * (task.n_outputs // len(columns)), axis=1)


def scaled_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks of ``(rows,)`` scaled to (0, 1]: the highest is 1, and ties share their mean."""
    _, indices, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2
    return mean_ranks[indices] / max(len(values), 1)
