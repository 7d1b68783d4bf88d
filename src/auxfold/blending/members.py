"""The runs that are blended: their out-of-fold predictions, joined by id, and the score to raise.

The first run says what the labels are, which fold a row belongs to, and what the tasks are called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auxfold.config.experiment import Experiment
from auxfold.data.table import Table
from auxfold.errors import InputError, nearest
from auxfold.fairness.jigsaw_bias import jigsaw_bias
from auxfold.storage.atomic import read_json
from auxfold.storage.run_folder import OUTPUTS, FoldFolder, RunFolder, check_together, trained_folds
from auxfold.tasks import KINDS, Task, label_slices, main_slice, make_tasks, selection_metric

# How good predictions of some rows are: row numbers of the table, and task name to predictions
# ``(those rows, n_outputs)``. None: undefined on them.
Score = Callable[[np.ndarray, dict[str, np.ndarray]], float | None]


def rows_of(predictions: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    """The given rows of predictions by task name."""
    return {name: values[rows] for name, values in predictions.items()}


@dataclass(frozen=True)
class Member:
    """One finished run: all its folds, and what they predicted for the rows they had not seen.

    Attributes:
        name: of the run folder.
        experiment: as the folds were trained.
        folders: the fold folders.
        oof: predictions by id.
    """

    name: str
    experiment: Experiment
    folders: list[FoldFolder]
    oof: pd.DataFrame

    @classmethod
    def at(cls, run: str) -> Member:
        """A run by its name below ``outputs/``, or by its folder.

        Raises:
            InputError: no such run, a fold is missing, folds that do not belong together, or one
                split instead of folds.
        """
        path = OUTPUTS / run if (OUTPUTS / run).is_dir() else Path(run)
        folder = RunFolder(path)
        if folder.blend.is_file():
            raise InputError(f"{path} is a blend; name the runs that it was made of")
        if not folder.finished():
            there = [p.parent.parent.name for p in OUTPUTS.glob("*/fold_*/run.json")]
            raise InputError(f"no trained run {run!r}{nearest(run, sorted(set(there)))} in outputs")
        folders = trained_folds(folder, folder.fold_names())
        experiment = check_together(folders)
        if experiment.folds.validation is not None:
            raise InputError(
                f"run {path.name} has one split (folds.validation); weights are fitted on some "
                f"folds and judged on the others: blend runs with folds, or files by --predictions"
            )
        oof = pd.concat([pd.read_parquet(fold.oof) for fold in folders])
        return cls(path.name, experiment, folders, oof.set_index(experiment.data.id_column))

    def record(self) -> dict[str, Any]:
        """Where the run is, and by what it is recognised later."""
        run = read_json(self.folders[0].run)
        return {
            "path": str(self.folders[0].path.parent),
            "experiment_fingerprint": run["experiment_fingerprint"],
            "data_fingerprint": run["data_fingerprint"],
        }


@dataclass(frozen=True)
class Candidates:
    """Out-of-fold predictions of several runs for the same rows, and what they are scored by.

    Attributes:
        tasks: what is blended.
        predictions: task name to ``(members, rows, n_outputs)``.
        score: see :data:`Score`.
        metric: its name, ``<task>/<metric>[/<column>]`` or ``<metric>``.
        labels: task name to ``(rows, columns)``.
        folds: ``(rows,)``.
    """

    tasks: list[Task]
    predictions: dict[str, np.ndarray]
    score: Score
    metric: str
    labels: dict[str, np.ndarray]
    folds: np.ndarray

    def by_column(self) -> list[Candidates]:
        """One for each label column, scored by the metric on that column alone.

        Raises:
            InputError: the metric is not a mean over columns.
        """
        name = self.metric.split("/")[-1]
        if self.metric.count("/") > 1 or any(name not in task.metrics for task in self.tasks):
            raise InputError(
                f"--by column: {self.metric} is not a mean over columns; take <task>/<metric> or "
                f"<metric>, or one weight for all columns"
            )
        return [
            self._column(task, place, name)
            for task in self.tasks
            for place in range(len(task.settings.columns))
        ]

    def _column(self, task: Task, place: int, name: str) -> Candidates:
        column = task.settings.columns[place]
        alone = KINDS[task.settings.kind](
            task.settings.model_copy(update={"columns": [column], "label_weights": None})
        )
        outputs = np.s_[place : place + 1] if task.settings.kind != "multiclass" else np.s_[:]
        labels = self.labels[task.name][:, place : place + 1]
        return replace(
            self,
            tasks=[alone],
            predictions={task.name: self.predictions[task.name][:, :, outputs]},
            labels={task.name: labels},
            score=_mean_over_columns([alone], {task.name: labels}, name),
        )


def gather(
    members: list[Member], table: Table, folds: np.ndarray, metric: str | None
) -> Candidates:
    """The members' predictions of the first one's rows, and the score.

    Args:
        members: two or more runs; the first one's labels, folds and task names hold.
        table: the first run's training rows.
        folds: their folds.
        metric: ``<task>/<metric>[/<column>]``, or ``<metric>``: the mean over the columns of all
            tasks that have it. The first run's own (selection) metric when left out.

    Raises:
        InputError: other rows, a missing column, a task of another kind, an unknown metric.
    """
    first = members[0]
    metric = metric or selection_metric(first.experiment)
    tasks = _blended(first.experiment, metric)
    labels = _labels_of(make_tasks(first.experiment), table)
    for member in members:
        _check_rows(member, first, table.ids)
        _check_tasks(member, first, tasks)
    predictions = {
        task.name: np.stack(
            [m.oof.loc[table.ids, task.prediction_columns].to_numpy(np.float64) for m in members]
        )
        for task in tasks
    }
    score = score_of(first.experiment, table, tasks, metric)
    return Candidates(tasks, predictions, score, metric, labels, folds)


def score_of(experiment: Experiment, table: Table, tasks: list[Task], metric: str) -> Score:
    """The metric as a function of rows and predictions.

    Args:
        experiment: of the first run.
        table: its training rows.
        tasks: those that the metric looks at.
        metric: its name.
    """
    labels = _labels_of(make_tasks(experiment), table)
    if metric in experiment.identities.metrics:
        return _bias_score(experiment, table, metric)
    name = metric.split("/", 1)[1] if "/" in metric else metric
    if all(name in task.metrics for task in tasks):
        return _mean_over_columns(tasks, labels, name)
    # One column's, or one that only the task as a whole has.
    (task,) = tasks

    def score(rows: np.ndarray, predictions: dict[str, np.ndarray]) -> float | None:
        return task.compute_metrics(labels[task.name][rows], predictions[task.name])[name]

    return score


def _bias_score(experiment: Experiment, table: Table, metric: str) -> Score:
    """``jigsaw_bias/…`` of the main task's first column, by the first run's identities."""
    task, columns = main_slice(experiment)
    truth, names = table.labels[:, columns][:, 0], experiment.identities.columns

    def score(rows: np.ndarray, predictions: dict[str, np.ndarray]) -> float | None:
        values = predictions[task.name][:, 0]
        return jigsaw_bias(truth[rows], values, table.identities[rows], names).metrics()[metric]

    return score


def _labels_of(tasks: list[Task], table: Table) -> dict[str, np.ndarray]:
    return {task.name: table.labels[:, columns] for task, columns in label_slices(tasks)}


def _mean_over_columns(tasks: list[Task], labels: dict[str, np.ndarray], name: str) -> Score:
    """This metric alone, where ``Task.metrics`` would compute them all at every step."""

    def score(rows: np.ndarray, predictions: dict[str, np.ndarray]) -> float | None:
        values = [
            task.metrics[name](
                labels[task.name][rows, place],
                task.column_predictions(predictions[task.name], place),
            )
            for task in tasks
            for place in range(len(task.settings.columns))
        ]
        defined = [value for value in values if value is not None]
        return float(np.mean(defined)) if defined else None

    return score


def _blended(experiment: Experiment, metric: str) -> list[Task]:
    """The tasks that a metric looks at."""
    tasks = make_tasks(experiment)
    if metric in experiment.identities.metrics:
        found = [main_slice(experiment)[0]]
    elif "/" not in metric:
        found = [task for task in tasks if metric in task.metrics]
    else:
        name, rest = metric.split("/", 1)
        found = [task for task in tasks if task.name == name and rest in _metrics_of(task)]
    if not found:
        known = [f"{task.name}/{name}" for task in tasks for name in _metrics_of(task)]
        known += experiment.identities.metrics
        known += list(dict.fromkeys(name for task in tasks for name in task.metrics))
        short = [name for name in known if name.count("/") < 2]
        raise InputError(
            f"--metric {metric} is unknown{nearest(metric, known)}; known: {', '.join(short)}"
        )
    return found


def _metrics_of(task: Task) -> list[str]:
    nothing = np.empty((0, task.n_outputs))
    return list(task.compute_metrics(np.empty((0, len(task.settings.columns))), nothing))


def _check_rows(member: Member, first: Member, ids: np.ndarray) -> None:
    if member.oof.index.duplicated().any():
        twice = member.oof.index[member.oof.index.duplicated()]
        raise InputError(f"run {member.name}: {len(twice)} ids stand in two folds, e.g. {twice[0]}")
    lacking = pd.Index(ids).difference(member.oof.index)
    extra = member.oof.index.difference(pd.Index(ids))
    if len(lacking) or len(extra):
        example = lacking[0] if len(lacking) else extra[0]
        raise InputError(
            f"run {member.name} was not made on the rows of {first.name}: of {len(ids):,} ids it "
            f"lacks {len(lacking):,} and has {len(extra):,} others (e.g. {example!r}); blend runs "
            f"on the same rows"
        )


def _check_tasks(member: Member, first: Member, tasks: list[Task]) -> None:
    own = {c: t for t in make_tasks(member.experiment) for c in t.settings.columns}
    for task in tasks:
        for column in task.settings.columns:
            if column not in own:
                raise InputError(
                    f"run {member.name} does not predict {column!r}{nearest(column, own)}, which "
                    f"the metric of {first.name} looks at"
                )
            kinds = own[column].settings.kind, task.settings.kind
            same = set(task.prediction_columns) <= set(member.oof.columns)
            if kinds[0] != kinds[1] or not same:
                raise InputError(
                    f"column {column!r} is a {kinds[0]} task in run {member.name} and a {kinds[1]} "
                    f"task in {first.name}{', of other classes' if kinds[0] == kinds[1] else ''}"
                )
    values = member.oof[[c for task in tasks for c in task.prediction_columns]].to_numpy()
    if not np.isfinite(values).all():
        raise InputError(f"run {member.name}: an out-of-fold prediction is no number")
