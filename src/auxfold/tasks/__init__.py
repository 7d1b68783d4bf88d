"""What each kind of task owes the pipeline: labels, head, loss, activation, metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from auxfold.config.experiment import Experiment
from auxfold.tasks.binary import BinaryTask
from auxfold.tasks.multiclass import MulticlassTask
from auxfold.tasks.regression import RegressionTask
from auxfold.tasks.task import Task

KINDS: dict[str, type[Task]] = {
    "binary": BinaryTask,
    "multiclass": MulticlassTask,
    "regression": RegressionTask,
}


def make_tasks(experiment: Experiment) -> list[Task]:
    """The tasks of an experiment, in the order of its label columns."""
    return [KINDS[settings.kind](settings) for settings in experiment.tasks]


def strata(tasks: list[Task], labels: np.ndarray) -> np.ndarray:
    """``(rows, flags)``: what folds are stratified by, task by task; NaN where not labelled."""
    return np.concatenate(
        [task.strata(labels[:, columns]) for task, columns in label_slices(tasks)], axis=1
    )


def label_summary(tasks: list[Task], labels: np.ndarray) -> dict[str, str]:
    """What a person compares between folds, by column heading."""
    made: dict[str, str] = {}
    for task, columns in label_slices(tasks):
        made |= task.label_summary(labels[:, columns])
    return made


def headline(experiment: Experiment) -> list[str]:
    """The metrics that a line on the console has room for."""
    tasks = make_tasks(experiment)
    means = MulticlassTask.headline if _means_alone(experiment) else ()
    told = [t for t in tasks if not (means and isinstance(t, MulticlassTask))]
    return [*means, *(f"{task.name}/{metric}" for task in told for metric in task.headline)]


def shown(experiment: Experiment, metrics: dict[str, Any]) -> dict[str, Any]:
    """The metrics to show: all of them, or without those of single multi-class tasks
    (``tracking.show_per_group_metrics = false``).
    """
    if not _means_alone(experiment):
        return metrics
    hidden = {t.name for t in make_tasks(experiment) if isinstance(t, MulticlassTask)}
    return {name: value for name, value in metrics.items() if name.split("/")[0] not in hidden}


def _means_alone(experiment: Experiment) -> bool:
    several = [task for task in experiment.tasks if task.kind == "multiclass"]
    return len(several) > 1 and not experiment.tracking.show_per_group_metrics


def selection_metric(experiment: Experiment) -> str:
    """The metric that selects checkpoints: the one asked for, else the main task's default."""
    main = KINDS[experiment.main_task.kind](experiment.main_task)
    return experiment.selection.metric or f"{main.name}/{main.default_metric}"


def label_slices(tasks: list[Task]) -> list[tuple[Task, slice]]:
    """Each task with its columns' place in ``Table.labels``."""
    made, start = [], 0
    for task in tasks:
        stop = start + len(task.settings.columns)
        made.append((task, slice(start, stop)))
        start = stop
    return made


def main_slice(experiment: Experiment) -> tuple[Task, slice]:
    """The main task with its columns' place in ``Table.labels``."""
    pairs = label_slices(make_tasks(experiment))
    return next(pair for pair in pairs if pair[0].name == experiment.main_task.name)


def all_metrics(
    tasks: list[Task], labels: np.ndarray, predictions: dict[str, np.ndarray]
) -> dict[str, float | None]:
    """``<task>/<metric>`` of every task.

    With several multi-class tasks also ``<metric>``, the mean over them, and ``<metric>_std``,
    their population deviation (None where the metric is undefined for one of them).

    Args:
        tasks: all tasks of the experiment.
        labels: as in ``Table.labels``.
        predictions: task name to predictions ``(rows, n_outputs)``.
    """
    made: dict[str, float | None] = {}
    for task, columns in label_slices(tasks):
        values = task.metrics(labels[:, columns], predictions[task.name])
        made |= {f"{task.name}/{name}": value for name, value in values.items()}
    several = [task for task in tasks if isinstance(task, MulticlassTask)]
    if len(several) > 1:
        for name in MulticlassTask.functions:
            values = [made[f"{task.name}/{name}"] for task in several]
            defined = None not in values
            made[name] = float(np.mean(values)) if defined else None
            made[f"{name}_std"] = float(np.std(values)) if defined else None
    return made


def prediction_frame(
    id_column: str, ids: np.ndarray, tasks: list[Task], predictions: dict[str, np.ndarray]
) -> pd.DataFrame:
    """The id column first, then the columns that the tasks at hand predict."""
    made: dict[str, Any] = {id_column: ids}
    for task in tasks:
        made |= task.to_columns(predictions[task.name])
    return pd.DataFrame(made)
