"""What each kind of task owes the pipeline: labels, head, loss, activation, metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from auxfold.experiment import Experiment
from auxfold.tasks.binary import BinaryTask
from auxfold.tasks.task import Task

KINDS: dict[str, type[Task]] = {"binary": BinaryTask}


def make_tasks(experiment: Experiment) -> list[Task]:
    """The tasks of an experiment, in the order of its label columns."""
    return [KINDS[settings.kind](settings) for settings in experiment.tasks]


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


def all_metrics(
    tasks: list[Task], labels: np.ndarray, predictions: dict[str, np.ndarray]
) -> dict[str, float | None]:
    """``<task>/<metric>`` of every task.

    Args:
        tasks: all tasks of the experiment.
        labels: as in ``Table.labels``.
        predictions: task name to predictions ``(rows, n_outputs)``.
    """
    made: dict[str, float | None] = {}
    for task, columns in label_slices(tasks):
        values = task.metrics(labels[:, columns], predictions[task.name])
        made |= {f"{task.name}/{name}": value for name, value in values.items()}
    return made


def prediction_frame(
    id_column: str, ids: np.ndarray, tasks: list[Task], predictions: dict[str, np.ndarray]
) -> pd.DataFrame:
    """The id column first, then one column per predicted label of the tasks at hand."""
    made: dict[str, Any] = {id_column: ids}
    for task in tasks:
        values = predictions[task.name]
        made |= {c: values[:, i] for i, c in enumerate(task.prediction_columns)}
    return pd.DataFrame(made)
