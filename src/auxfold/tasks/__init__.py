"""Tasks: what every kind of prediction provides to the rest of the package.

A :class:`Task` is one head of the model: the label columns it reads, its loss, its activation and
its metrics. Each kind is one file with one subclass: :mod:`~auxfold.tasks.binary`,
:mod:`~auxfold.tasks.multiclass` and :mod:`~auxfold.tasks.regression`. A :class:`TaskSet` holds the
tasks of an experiment; a command builds it once and passes it down. The metrics by name are in
:mod:`auxfold.tasks.metrics`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from auxfold.config.experiment import Experiment
from auxfold.tasks.kinds import KINDS, create_task
from auxfold.tasks.task import Task
from auxfold.tasks.task_set import TaskSet

__all__ = ["KINDS", "Task", "TaskSet", "create_task"]


def make_tasks(experiment: Experiment) -> list[Task]:
    return list(TaskSet.from_experiment(experiment))


def strata(tasks: Iterable[Task], labels: np.ndarray) -> np.ndarray:
    return _set_of(tasks).stratification_flags(labels)


def label_summary(tasks: Iterable[Task], labels: np.ndarray) -> dict[str, str]:
    return _set_of(tasks).label_summary(labels)


def headline(experiment: Experiment) -> list[str]:
    return TaskSet.from_experiment(experiment).headline_metrics()


def shown(experiment: Experiment, metrics: dict[str, Any]) -> dict[str, Any]:
    return TaskSet.from_experiment(experiment).metrics_to_show(metrics)


def selection_metric(experiment: Experiment) -> str:
    return TaskSet.from_experiment(experiment).selection_metric


def label_slices(tasks: Iterable[Task]) -> list[tuple[Task, slice]]:
    return _set_of(tasks).items()


def main_slice(experiment: Experiment) -> tuple[Task, slice]:
    tasks = TaskSet.from_experiment(experiment)
    return tasks.main, tasks.main_slice


def all_metrics(
    tasks: Iterable[Task], labels: np.ndarray, predictions: dict[str, np.ndarray]
) -> dict[str, float | None]:
    return _set_of(tasks).compute_metrics(labels, predictions)


def prediction_frame(
    id_column: str, ids: np.ndarray, tasks: Iterable[Task], predictions: dict[str, np.ndarray]
) -> pd.DataFrame:
    return _set_of(tasks).prediction_frame(id_column, ids, predictions)


def _set_of(tasks: Iterable[Task]) -> TaskSet:
    return tasks if isinstance(tasks, TaskSet) else TaskSet(tasks)
