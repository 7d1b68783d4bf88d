"""All metrics of some rows: those of every task, and the bias of the main one by identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auxfold.data.table import Table
from auxfold.errors import InputError, nearest
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


def check_selection_metric(
    tasks: TaskSet, table: Table, valid_indices: np.ndarray, identities: Sequence[str] = ()
) -> None:
    """Refuse a metric of checkpoint selection that the validation rows cannot have.

    Args:
        tasks: all tasks of the experiment, with its selection metric.
        table: the training table.
        valid_indices: the rows that the fold holds out; empty: all rows count.
        identities: the names of the columns of ``table.identities``.

    Raises:
        InputError: there is no such metric, or it is undefined on the validation rows.
    """
    metric = tasks.selection_metric
    indices = valid_indices if len(valid_indices) else np.arange(len(table))
    random = np.random.default_rng(0)
    guesses = {task.name: random.random((len(indices), task.n_outputs)) for task in tasks}
    metrics = evaluate_rows(tasks, table, indices, guesses, identities).metrics
    if metric not in metrics:
        raise InputError(
            f"selection.metric = {metric!r} is unknown{nearest(metric, metrics)}; "
            f"known: {', '.join(m for m in metrics if m.count('/') == 1)}"
        )
    if metrics[metric] is None:
        raise InputError(
            f"selection.metric = {metric!r} is undefined on the validation rows of this fold "
            f"(they have only one class or one value); choose another metric or lower "
            f"folds.n_splits"
        )
