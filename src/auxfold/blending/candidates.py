"""Out-of-fold predictions of several runs, joined by id, and the metric that they are scored by.

The first run defines the labels, the fold of each row, and the names of the tasks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from auxfold.blending.members import Member
from auxfold.data.ids import check_same_ids, check_unique_ids
from auxfold.data.table import Table
from auxfold.errors import InputError, nearest
from auxfold.evaluation.score_function import (
    ScoreFunction,
    create_score,
    mean_over_columns,
    select_rows,
    select_scored_tasks,
)
from auxfold.tasks import Task, TaskSet
from auxfold.tasks.metrics import higher_is_better


@dataclass(frozen=True)
class Candidates:
    """Out-of-fold predictions of several runs for the same rows, and the score of a blend of them.

    Attributes:
        tasks: the tasks that are blended, a subset of the first run's.
        predictions: task name to ``(members, rows, n_outputs)``.
        score: the metric as a function of rows and predictions.
        metric: its name, ``<task>/<metric>[/<column>]`` or ``<metric>``.
        labels: the first run's ``Table.labels``, ``(rows, label columns)``.
        folds: the fold of each row, ``(rows,)``.
    """

    tasks: TaskSet
    predictions: dict[str, np.ndarray]
    score: ScoreFunction
    metric: str
    labels: np.ndarray
    folds: np.ndarray

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return len(self.folds)

    @property
    def n_members(self) -> int:
        """The number of runs."""
        return len(next(iter(self.predictions.values())))

    @property
    def sign(self) -> int:
        """1 where a higher metric is better, -1 where a lower one is."""
        return 1 if higher_is_better(self.metric) else -1

    def member_predictions(self, member: int) -> dict[str, np.ndarray]:
        """The predictions of one run, task name to ``(rows, n_outputs)``."""
        return {name: values[member] for name, values in self.predictions.items()}

    def compute_scores(self, predictions: dict[str, np.ndarray]) -> dict[str, Any]:
        """The score of all rows and of each fold.

        Args:
            predictions: of all rows, task name to ``(rows, n_outputs)``.

        Returns:
            ``oof`` (all rows at once), ``folds`` (a list) and their ``mean``; None where the metric
            is undefined.
        """
        indices_by_fold = [np.flatnonzero(self.folds == fold) for fold in np.unique(self.folds)]
        fold_scores = [self.score(rows, select_rows(predictions, rows)) for rows in indices_by_fold]
        defined = [score for score in fold_scores if score is not None]
        return {
            "oof": self.score(np.arange(self.n_rows), predictions),
            "folds": fold_scores,
            "mean": float(np.mean(defined)) if len(defined) == len(fold_scores) else None,
        }

    def split_by_column(self) -> dict[str, Candidates]:
        """Label column to candidates of this column only, scored by the metric on it.

        Raises:
            InputError: the metric is not a mean over columns.
        """
        name = self.metric.split("/")[-1]
        if self.metric.count("/") > 1 or any(name not in task.metrics for task in self.tasks):
            raise InputError(
                f"--by column: {self.metric} is not a mean over columns; take <task>/<metric> or "
                f"<metric>, or one weight for all columns"
            )
        return {
            column: self._select_column(task, position, name)
            for task in self.tasks
            for position, column in enumerate(task.settings.targets)
        }

    def _select_column(self, task: Task, position: int, name: str) -> Candidates:
        columns, targets = self.tasks.slices[task.name], task.settings.targets
        if len(targets) > 1:
            columns = slice(columns.start + position, columns.start + position + 1)
        tasks = TaskSet([task.for_column(targets[position])], slices={task.name: columns})
        return replace(
            self,
            tasks=tasks,
            predictions={task.name: self.predictions[task.name][:, :, task.output_slice(position)]},
            score=mean_over_columns(tasks, self.labels, name),
        )


def join_members(
    members: list[Member], table: Table, folds: np.ndarray, metric: str | None
) -> Candidates:
    """The runs' predictions of the first run's rows, and the score of a blend.

    Args:
        members: two or more runs; labels, folds and task names are those of the first one.
        table: the first run's training rows.
        folds: the fold of each row, ``(rows,)``.
        metric: ``<task>/<metric>[/<column>]``, or ``<metric>``: the mean over the columns of all
            tasks that have it. The first run's selection metric when left out.

    Raises:
        InputError: a run has other rows, lacks a column, or has a task of another kind; the metric
            is unknown.
    """
    first = members[0]
    metric = metric or first.tasks.selection_metric
    tasks = select_scored_tasks(first.experiment, first.tasks, metric)
    for member in members:
        check_unique_ids(member.oof.index, f"run {member.name}")
        advice = "blend runs on the same rows"
        runs = f"run {first.name}", f"run {member.name}"
        check_same_ids(table.ids, member.oof.index, *runs, advice)
        _check_tasks(member, first, tasks)
    predictions = {
        task.name: np.stack(
            [m.oof.loc[table.ids, task.prediction_columns].to_numpy(np.float64) for m in members]
        )
        for task in tasks
    }
    score = create_score(first.experiment, table, tasks, metric)
    return Candidates(tasks, predictions, score, metric, table.labels, folds)


def _check_tasks(member: Member, first: Member, tasks: TaskSet) -> None:
    """Refuse a run that does not predict what the first run predicts.

    Raises:
        InputError: naming the column.
    """
    member_tasks = {column: task for task in member.tasks for column in task.settings.targets}
    for task in tasks:
        for column in task.settings.targets:
            if column not in member_tasks:
                raise InputError(
                    f"run {member.name} does not predict {column!r}{nearest(column, member_tasks)},"
                    f" which the metric of {first.name} reads"
                )
            kind, first_kind = member_tasks[column].kind, task.kind
            same_columns = set(task.prediction_columns) <= set(member.oof.columns)
            if kind != first_kind or not same_columns:
                raise InputError(
                    f"column {column!r} is a {kind} task in run {member.name} and a {first_kind} "
                    f"task in {first.name}{', of other classes' if kind == first_kind else ''}"
                )
    values = member.oof[[c for task in tasks for c in task.prediction_columns]].to_numpy()
    if not np.isfinite(values).all():
        raise InputError(
            f"run {member.name}: an out-of-fold prediction is NaN or infinite; train the run again"
        )
