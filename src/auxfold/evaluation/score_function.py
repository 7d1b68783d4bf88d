"""One metric of an experiment by name, as a function of rows and predictions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from auxfold.config.experiment import Experiment
from auxfold.data.table import Table
from auxfold.errors import InputError, nearest
from auxfold.fairness.jigsaw_bias import jigsaw_bias
from auxfold.tasks import Task, TaskSet
from auxfold.tasks.metrics import mean_defined

# The metric of some rows: their indices in the table, and task name to the predictions of these
# rows, ``(len(indices), n_outputs)``. None where the metric is undefined on them.
ScoreFunction = Callable[[np.ndarray, dict[str, np.ndarray]], float | None]


def select_rows(predictions: dict[str, np.ndarray], indices: np.ndarray) -> dict[str, np.ndarray]:
    """Predictions by task name, restricted to some rows."""
    return {name: values[indices] for name, values in predictions.items()}


def select_scored_tasks(experiment: Experiment, tasks: TaskSet, metric: str) -> TaskSet:
    """The tasks whose predictions a metric reads.

    Args:
        experiment: names the identities whose metrics there are.
        tasks: all tasks of the experiment.
        metric: ``<task>/<metric>[/<column>]``, ``<metric>``, or ``jigsaw_bias/...``.

    Raises:
        InputError: no task has this metric.
    """
    if metric in experiment.identities.metrics:
        names = [tasks.main.name]
    elif "/" not in metric:
        names = [task.name for task in tasks if metric in task.metrics]
    else:
        task_name, rest = metric.split("/", 1)
        names = [
            task.name for task in tasks if task.name == task_name and rest in _metric_names(task)
        ]
    if not names:
        known = [f"{task.name}/{name}" for task in tasks for name in _metric_names(task)]
        known += experiment.identities.metrics
        known += list(dict.fromkeys(name for task in tasks for name in task.metrics))
        of_no_column = [name for name in known if name.count("/") < 2]
        raise InputError(
            f"--metric {metric} is unknown{nearest(metric, known)}; known: "
            f"{', '.join(of_no_column)}"
        )
    return tasks.subset(names)


def create_score(
    experiment: Experiment, table: Table, tasks: TaskSet, metric: str
) -> ScoreFunction:
    """The metric as a function of rows and predictions.

    Args:
        experiment: names the identities.
        table: the training rows.
        tasks: the tasks that :func:`select_scored_tasks` returned.
        metric: the metric's name.
    """
    if metric in experiment.identities.metrics:
        return _create_bias_score(experiment, table, tasks, metric)
    full_name = metric.split("/", 1)[1] if "/" in metric else metric
    if all(full_name in task.metrics for task in tasks):
        return mean_over_columns(tasks, table.labels, full_name)
    ((task, columns),) = tasks.items()
    name, _, column = full_name.partition("/")
    if name in task.metrics and column in task.settings.targets:
        return mean_over_columns(tasks, table.labels, name, column)
    # One that only a whole task has.
    labels = table.labels[:, columns]

    def score(indices: np.ndarray, predictions: dict[str, np.ndarray]) -> float | None:
        return task.compute_metrics(labels[indices], predictions[task.name])[full_name]

    return score


def mean_over_columns(
    tasks: TaskSet, labels: np.ndarray, name: str, column: str | None = None
) -> ScoreFunction:
    """The mean of one metric over the label columns of the tasks, where it is defined.

    Unlike ``TaskSet.compute_metrics`` it computes no other metric: a search calls it at each step.

    Args:
        tasks: tasks that all have the metric.
        labels: ``Table.labels``, ``(rows, label columns)``.
        name: the metric's name without task and column.
        column: the only column to score; None: all.
    """
    targets = [
        (task, position, task.column_labels(labels[:, columns], position))
        for task, columns in tasks.items()
        for position, target in enumerate(task.settings.targets)
        if column in (None, target)
    ]

    def score(indices: np.ndarray, predictions: dict[str, np.ndarray]) -> float | None:
        return mean_defined(
            task.metrics[name](
                target_labels[indices], task.column_predictions(predictions[task.name], position)
            )
            for task, position, target_labels in targets
        )

    return score


def _create_bias_score(
    experiment: Experiment, table: Table, tasks: TaskSet, metric: str
) -> ScoreFunction:
    """``jigsaw_bias/...`` of the main task's first column, by the identities of an experiment."""
    labels = table.labels[:, tasks.main_slice][:, 0]
    identity_columns = experiment.identities.columns

    def score(indices: np.ndarray, predictions: dict[str, np.ndarray]) -> float | None:
        values = predictions[tasks.main.name][:, 0]
        identities = table.identities[indices]
        return jigsaw_bias(labels[indices], values, identities, identity_columns).metrics()[metric]

    return score


def _metric_names(task: Task) -> list[str]:
    """All metrics of a task, without its name."""
    labels = np.empty((0, len(task.settings.label_columns)))
    return list(task.compute_metrics(labels, np.empty((0, task.n_outputs))))
