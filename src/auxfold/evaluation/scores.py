"""All metrics of some rows: those of every task, and the bias of the main one by identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auxfold.data.table import Table
from auxfold.fairness.jigsaw_bias import Bias, jigsaw_bias
from auxfold.tasks import TaskSet


@dataclass(frozen=True)
class Evaluation:
    """Metrics by name, and the bias by identity; None where the experiment names no identity."""

    metrics: dict[str, float | None]
    bias: Bias | None


def evaluate_rows(
    tasks: TaskSet,
    table: Table,
    indices: np.ndarray,
    predictions: dict[str, np.ndarray],
    identities: Sequence[str] = (),
) -> Evaluation:
    """All metrics of predictions; the bias is that of the main task's first column.

    Args:
        tasks: all tasks of the experiment.
        table: the training table.
        indices: the rows of it that were predicted, as row numbers or a mask.
        predictions: task name to ``(len(indices), n_outputs)``.
        identities: the names of the columns of ``table.identities``.
    """
    labels = table.labels[indices]
    metrics = tasks.compute_metrics(labels, predictions)
    if not identities:
        return Evaluation(metrics, None)
    truth, scores = labels[:, tasks.main_slice][:, 0], predictions[tasks.main.name][:, 0]
    bias = jigsaw_bias(truth, scores, table.identities[indices], identities)
    return Evaluation(metrics | bias.metrics(), bias)
