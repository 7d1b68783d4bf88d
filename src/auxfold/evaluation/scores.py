"""Every metric of some rows: of each task, and the main one's bias where identities are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auxfold.config.experiment import Experiment
from auxfold.data.table import Table
from auxfold.errors import InputError, nearest
from auxfold.fairness.jigsaw_bias import Bias, jigsaw_bias
from auxfold.tasks import all_metrics, main_slice, make_tasks, selection_metric


@dataclass(frozen=True)
class Evaluation:
    """Metrics by name, and the bias by identity; None where the experiment names no identity."""

    metrics: dict[str, float | None]
    bias: Bias | None


def evaluate_rows(
    experiment: Experiment, table: Table, rows: np.ndarray, predictions: dict[str, np.ndarray]
) -> Evaluation:
    """All metrics of predictions.

    The bias is that of the main task's first column.

    Args:
        experiment: its tasks and its ``[identities]``.
        table: the training table.
        rows: which rows of it were predicted, numbers or bool.
        predictions: task name to ``(len(rows), n_outputs)``.
    """
    labels, names = table.labels[rows], experiment.identities.columns
    metrics = all_metrics(make_tasks(experiment), labels, predictions)
    if not names:
        return Evaluation(metrics, None)
    task, columns = main_slice(experiment)
    truth, scores = labels[:, columns][:, 0], predictions[task.name][:, 0]
    bias = jigsaw_bias(truth, scores, table.identities[rows], names)
    return Evaluation(metrics | bias.metrics(), bias)


def checked_metric(experiment: Experiment, table: Table, valid_rows: np.ndarray) -> str:
    """The metric of checkpoint selection.

    Raises:
        InputError: there is no such metric, or it is undefined on the validation rows.
    """
    metric = selection_metric(experiment)
    rows = valid_rows if len(valid_rows) else np.arange(len(table))
    random = np.random.default_rng(0)
    guesses = {t.name: random.random((len(rows), t.n_outputs)) for t in make_tasks(experiment)}
    metrics = evaluate_rows(experiment, table, rows, guesses).metrics
    if metric not in metrics:
        raise InputError(
            f"selection.metric = {metric!r} is unknown{nearest(metric, metrics)}; "
            f"known: {', '.join(m for m in metrics if m.count('/') == 1)}"
        )
    if metrics[metric] is None:
        raise InputError(
            f"selection.metric = {metric!r} is undefined on the validation rows of this fold "
            f"(one class or one value alone there); choose another metric or lower folds.n_splits"
        )
    return metric
