"""The tasks of an experiment, in the order of its label columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from typing import Any

import numpy as np
import pandas as pd

from auxfold.config.experiment import Experiment
from auxfold.config.task_settings import FOLD_COLUMN, LABEL_SUFFIX
from auxfold.tasks.kinds import create_task
from auxfold.tasks.task import Task


class TaskSet:
    """An ordered collection of tasks that knows which label columns each of them reads.

    Iterating gives the tasks. ``predictions`` are always a dictionary of task name to
    ``(rows, n_outputs)``, and ``labels`` are ``Table.labels``, ``(rows, label columns)`` of the
    whole experiment, also for a subset.

    Args:
        tasks: in the order of the label columns.
        slices: task name to the slice of ``Table.labels`` that holds its columns; None: the tasks
            read all label columns, one after the other.
        main: the main task; None: the one whose settings say so, else the first.
        selection_metric: the metric that selects checkpoints; None: the main task's default.
        show_per_task: whether to show the metrics of each multi-class task where there are means
            over these tasks, too.

    Attributes:
        names: the tasks' names, in order.
        by_name: task name to task.
        slices: as in ``Args``.
    """

    def __init__(
        self,
        tasks: Iterable[Task],
        *,
        slices: dict[str, slice] | None = None,
        main: Task | None = None,
        selection_metric: str | None = None,
        show_per_task: bool = True,
    ) -> None:
        self._tasks = tuple(tasks)
        self.names = [task.name for task in self._tasks]
        self.by_name = {task.name: task for task in self._tasks}
        self.slices = _consecutive_slices(self._tasks) if slices is None else slices
        self._main = main
        self._selection_metric = selection_metric
        self._show_per_task = show_per_task

    @classmethod
    def from_experiment(cls, experiment: Experiment) -> TaskSet:
        """All tasks of an experiment, with its selection metric and what it shows of them."""
        return cls(
            map(create_task, experiment.tasks),
            selection_metric=experiment.selection.metric,
            show_per_task=experiment.tracking.show_per_group_metrics,
        )

    def __iter__(self) -> Iterator[Task]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def main(self) -> Task:
        """The main task of the experiment; that of a subset is the same."""
        return self._main or next((t for t in self._tasks if t.settings.main), self._tasks[0])

    @property
    def main_slice(self) -> slice:
        """The main task's columns in ``Table.labels``."""
        return self.slices[self.main.name]

    @property
    def selection_metric(self) -> str:
        """The metric that selects checkpoints: the configured one, or the main task's default."""
        return self._selection_metric or f"{self.main.name}/{self.main.default_metric}"

    def items(self) -> list[tuple[Task, slice]]:
        """Each task with the slice of ``Table.labels`` that holds its columns."""
        return [(task, self.slices[task.name]) for task in self._tasks]

    def subset(self, names: Iterable[str]) -> TaskSet:
        """The named tasks, in the order of ``names``; label slices and main task stay the same."""
        return TaskSet(
            (self.by_name[name] for name in dict.fromkeys(names)),
            slices=self.slices,
            main=self.main,
            selection_metric=self._selection_metric,
            show_per_task=self._show_per_task,
        )

    def fit(self, labels: np.ndarray) -> TaskSet:
        """Copies of the tasks that have learned from a fold's training rows what a loss needs.

        This set stays as it is, so that it can be fitted to another fold.

        Args:
            labels: ``(rows, label columns)`` of the rows to train on.
        """
        fitted = [copy(task).fit(labels[:, columns]) for task, columns in self.items()]
        return TaskSet(
            fitted,
            slices=self.slices,
            main=next((task for task in fitted if task.name == self.main.name), self.main),
            selection_metric=self._selection_metric,
            show_per_task=self._show_per_task,
        )

    def stratification_flags(self, labels: np.ndarray) -> np.ndarray:
        """``(rows, flags)``: what folds are stratified by, task by task; NaN where not labeled."""
        return np.concatenate(
            [task.stratification_flags(labels[:, columns]) for task, columns in self.items()],
            axis=1,
        )

    def label_summary(self, labels: np.ndarray) -> dict[str, str]:
        """What a person compares between folds, by column heading."""
        summary: dict[str, str] = {}
        for task, columns in self.items():
            summary |= task.label_summary(labels[:, columns])
        return summary

    def compute_metrics(
        self, labels: np.ndarray, predictions: dict[str, np.ndarray]
    ) -> dict[str, float | None]:
        """``<task>/<metric>`` of every task, as of :meth:`Task.compute_metrics`.

        With several multi-class tasks also ``<metric>``, the mean over them, and
        ``<metric>_std``, their population deviation (both None where the metric is undefined for
        one of them).
        """
        metrics: dict[str, float | None] = {}
        for task, columns in self.items():
            values = task.compute_metrics(labels[:, columns], predictions[task.name])
            metrics |= {f"{task.name}/{name}": value for name, value in values.items()}
        averaged = self._averaged_tasks()
        for name in _common_metrics(averaged):
            values_of_tasks = [metrics[f"{task.name}/{name}"] for task in averaged]
            defined = [value for value in values_of_tasks if value is not None]
            all_defined = len(defined) == len(averaged)
            metrics[name] = float(np.mean(defined)) if all_defined else None
            metrics[f"{name}_std"] = float(np.std(defined)) if all_defined else None
        return metrics

    def headline_metrics(self) -> list[str]:
        """The metrics that a line on the console has room for."""
        averaged = [] if self._show_per_task else self._averaged_tasks()
        means = averaged[0].headline if averaged else ()
        single = [task for task in self._tasks if task not in averaged]
        return [*means, *(f"{task.name}/{metric}" for task in single for metric in task.headline)]

    def metrics_to_show(self, metrics: dict[str, Any]) -> dict[str, Any]:
        """The metrics to show: all of them, or without those of each averaged task.

        ``tracking.show_per_group_metrics = false`` leaves out the latter.
        """
        if self._show_per_task:
            return metrics
        hidden = {task.name for task in self._averaged_tasks()}
        return {name: value for name, value in metrics.items() if name.split("/")[0] not in hidden}

    def prediction_frame(
        self, id_column: str, ids: np.ndarray, predictions: dict[str, np.ndarray]
    ) -> pd.DataFrame:
        """The id column first, then the columns that the tasks predict."""
        columns: dict[str, Any] = {id_column: ids}
        for task in self._tasks:
            columns |= task.to_columns(predictions[task.name])
        return pd.DataFrame(columns)

    def out_of_fold_frame(
        self,
        id_column: str,
        ids: np.ndarray,
        folds: np.ndarray,
        predictions: dict[str, np.ndarray],
        labels: np.ndarray,
    ) -> pd.DataFrame:
        """The content of an out-of-fold file.

        Args:
            id_column: its name.
            ids: ``(rows,)``.
            folds: ``(rows,)`` the fold of each row.
            predictions: task name to ``(rows, n_outputs)``.
            labels: ``Table.labels`` of the rows.

        Returns:
            The id column, ``fold``, the columns that the tasks predict, and the labels of every
            label column as ``<column>__label``, null where not labeled.
        """
        frame = self.prediction_frame(id_column, ids, predictions)
        frame.insert(1, FOLD_COLUMN, folds)
        columns: dict[str, Any] = {}
        for task, positions in self.items():
            columns |= {
                f"{column}{LABEL_SUFFIX}": values
                for column, values in task.label_values(labels[:, positions]).items()
            }
        return pd.concat([frame, pd.DataFrame(columns)], axis=1)

    @property
    def prediction_columns(self) -> list[str]:
        """The predicted columns of all tasks, one per output."""
        return [column for task in self._tasks for column in task.prediction_columns]

    def _averaged_tasks(self) -> list[Task]:
        """The tasks over which metrics are averaged; empty where that is one task or none."""
        averaged = [task for task in self._tasks if task.has_mean_over_tasks]
        return averaged if len(averaged) > 1 else []


def _common_metrics(tasks: list[Task]) -> list[str]:
    """The metrics that all of the tasks have: their numbers of classes may differ."""
    return [n for n in (tasks[0].metrics if tasks else ()) if all(n in t.metrics for t in tasks)]


def _consecutive_slices(tasks: Iterable[Task]) -> dict[str, slice]:
    slices, start = {}, 0
    for task in tasks:
        stop = start + len(task.settings.label_columns)
        slices[task.name] = slice(start, stop)
        start = stop
    return slices
