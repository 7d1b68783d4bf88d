"""Several runs as one prediction, by stored weights; and prediction files as one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auxfold.data.files import read_columns
from auxfold.data.table import Table, read_texts
from auxfold.errors import InputError
from auxfold.experiment import Experiment
from auxfold.inference.ensemble import Ensemble
from auxfold.run_folder import RunFolder
from auxfold.scoring.averaging import check_average, from_scale, output_weights, to_scale
from auxfold.settings import BinarySettings, RegressionSettings
from auxfold.tasks import KINDS, Task
from auxfold.whole_files import read_json


@dataclass(frozen=True)
class Blend:
    """The runs of a ``blend.json``, known to be those that its weights were fitted for.

    Attributes:
        folder: of the blend.
        record: ``blend.json``.
        members: every run's folds.
    """

    folder: RunFolder
    record: dict[str, Any]
    members: list[Ensemble]

    @classmethod
    def at(cls, path: str | Path) -> Blend:
        """The blend in a folder that ``scripts/blend.py`` wrote.

        Raises:
            InputError: none there, a run is gone, or it was trained otherwise since.
        """
        folder = RunFolder(Path(path))
        if not folder.blend.is_file():
            raise InputError(f"no {folder.blend}; make it with scripts/blend.py --runs")
        record = read_json(folder.blend)
        members = []
        for told in record["members"]:
            beside = folder.path.parent / Path(told["path"]).name  # where outputs/ was moved as one
            ensemble = Ensemble.at(told["path"] if Path(told["path"]).is_dir() else beside)
            run = read_json(ensemble.folders[0].run)
            for what in ("experiment", "data"):
                if run[f"{what}_fingerprint"] != told[f"{what}_fingerprint"]:
                    raise InputError(
                        f"{told['path']} is not the run that was blended: its {what} fingerprint "
                        f"is another one; run scripts/blend.py again"
                    )
            members.append(ensemble)
        return cls(folder, record, members)

    @property
    def experiment(self) -> Experiment:
        """The first run's: its ids, tasks and sample submission hold."""
        return self.members[0].experiment

    def tasks(self) -> list[Task]:
        """What is blended."""
        return self.members[0].tasks(self.record["tasks"])

    def tables(
        self,
        source: str | None,
        renames: dict[str, str] | None = None,
        without_ids: bool = False,
    ) -> list[Table]:
        """The rows to predict as every run reads them, checked to be the same ones.

        Args:
            source: a file for all runs; otherwise each run's own ``data.test``, or the first's.
            renames: columns of ``source`` and their names in the experiments.
            without_ids: ``source`` has no ids; its rows are numbered from 0.

        Raises:
            InputError: no such file or column, or ids that differ from the first run's.
        """
        first = source or self.experiment.data.test
        if first is None:
            raise InputError("the first run has no data.test; give --input")
        read = [{e.data.id_column, *e.data.text_columns} for e in self._experiments()]
        tables = []
        for experiment, own in zip(self._experiments(), read, strict=True):
            path = source or experiment.data.test or first
            # A name that no run reads goes to the first one, which refuses it.
            others = set().union(*read) - own
            names = {old: new for old, new in (renames or {}).items() if new not in others}
            tables.append(read_texts(experiment, path, names, without_ids))
            check_ids(tables[0].ids, tables[-1].ids, tables[0].path, path)
        return tables

    def _experiments(self) -> list[Experiment]:
        return [member.experiment for member in self.members]

    def predict(self, tables: list[Table], show: bool = True) -> dict[str, np.ndarray]:
        """Task name to ``(rows, n_outputs)`` in the order of the first table.

        One fold model is in memory at a time; a run without any weight is not asked.
        """
        check_average(self.record["average"], self.tasks(), len(tables[0]))
        made = {}
        for number in self.needed():
            member, table = self.members[number], tables[number]
            own = self.member_tasks(member)
            predictions = member.predict(table, own, member.experiment.inference.average, show)
            order = pd.Index(table.ids).get_indexer(tables[0].ids)
            columns = self.columns_of(member, predictions)
            made[number] = {column: values[order] for column, values in columns.items()}
        return self.combine(made, len(tables[0]))

    def needed(self) -> list[int]:
        """The numbers of the runs that have a weight."""
        weights = np.array(list(self.record["weights"].values()))  # (columns, members)
        return np.flatnonzero(weights.any(axis=0)).tolist()

    def member_tasks(self, member: Ensemble) -> list[Task]:
        """The run's own tasks that predict what is blended; they may be called otherwise."""
        wanted = {column for task in self.tasks() for column in task.settings.columns}
        return member.tasks([t.name for t in member.experiment.tasks if wanted & set(t.columns)])

    def columns_of(
        self, member: Ensemble, predictions: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """A run's predictions by column instead of by its own tasks."""
        return {
            column: predictions[task.name][:, place]
            for task in self.member_tasks(member)
            for place, column in enumerate(task.prediction_columns)
        }

    def combine(self, made: dict[int, dict[str, np.ndarray]], n_rows: int) -> dict[str, np.ndarray]:
        """Predictions of runs as one.

        Args:
            made: number of the run to its predictions by column, ``(rows,)``, in one order. Where
                a run is missing the weights of the others are scaled to their sum (equal weights,
                where nothing is left to scale).
            n_rows: how many rows they have.

        Returns:
            Task name to ``(rows, n_outputs)``.
        """
        average, power, tasks = self.record["average"], self.record["power"], self.tasks()
        weights = self._weights(sorted(made))
        sums = {task.name: np.zeros((n_rows, task.n_outputs)) for task in tasks}
        for place, number in enumerate(sorted(made)):
            for task in tasks:
                values = np.stack([made[number][c] for c in task.prediction_columns], axis=1)
                scaled = to_scale(task, values, average, power)
                sums[task.name] += output_weights(task, weights)[place] * scaled
        return {task.name: from_scale(task, sums[task.name], average, power) for task in tasks}

    def _weights(self, numbers: list[int]) -> dict[str, np.ndarray]:
        """Column to the weights of some runs, which sum to what all of them sum to."""
        told = {column: np.array(values) for column, values in self.record["weights"].items()}
        if set(self.needed()) <= set(numbers):
            return {column: values[numbers] for column, values in told.items()}
        made = {}
        for column, values in told.items():
            own, whole = values[numbers], values.sum()
            fallback = np.full(len(numbers), whole / len(numbers))
            made[column] = own * (whole / own.sum()) if own.sum() > 0 else fallback
        return made


def check_ids(ours: np.ndarray, theirs: np.ndarray, path: str, other: str) -> None:
    """Refuse two files that do not hold the same ids, in whatever order.

    Raises:
        InputError: with how many are missing and how many too many.
    """
    lacking, extra = pd.Index(ours).difference(theirs), pd.Index(theirs).difference(ours)
    if len(lacking) or len(extra):
        example = (lacking if len(lacking) else extra)[0]
        raise InputError(
            f"{other} has not the ids of {path}: of {len(ours):,} it lacks {len(lacking):,} and "
            f"has {len(extra):,} others (e.g. {example!r})"
        )


def blend_files(
    paths: list[str], weights: list[float] | None, average: str, power: float
) -> pd.DataFrame:
    """Prediction files as one, joined by id: in the order and with the columns of the first.

    Args:
        paths: two or more files, the id column first; every other column is averaged.
        weights: one per file, of whatever sum above zero; equal when left out.
        average: one of ``averaging.AVERAGES``.
        power: the exponent of ``power``.

    Raises:
        InputError: other ids or columns, an id twice, a value that is no number or, for ``logit``
            and ``power``, no probability, weights that do not fit.
    """
    shares = _shares(weights, len(paths))
    frames = [_read(path) for path in paths]
    ids, columns = frames[0].index, list(frames[0].columns)
    for path, frame in zip(paths[1:], frames[1:], strict=True):
        if set(frame.columns) != set(columns) or frame.index.name != ids.name:
            raise InputError(
                f"{path} has the columns {', '.join([frame.index.name, *frame.columns])}; those of "
                f"{paths[0]} are {', '.join([ids.name, *columns])}"
            )
        check_ids(ids.to_numpy(), frame.index.to_numpy(), paths[0], path)
    task = _task_of(columns, average)
    check_average(average, [task], len(ids))
    total = np.zeros((len(ids), len(columns)))
    for path, share, frame in zip(paths, shares, frames, strict=True):
        values = frame.loc[ids, columns].to_numpy()
        if average in ("logit", "power") and not ((values >= 0) & (values <= 1)).all():
            raise InputError(f"{path}: {average} is for probabilities; a value lies outside 0 to 1")
        total += share * to_scale(task, values, average, power)
    if average == "power" and (total < 0).any():
        raise InputError("--weights: a power mean has no root where weights below zero prevail")
    made = from_scale(task, total, average, power)
    return pd.DataFrame(made, index=ids, columns=columns).reset_index()


def _read(path: str) -> pd.DataFrame:
    """Numbers by id.

    Raises:
        InputError: no columns, an id twice, or a value that is no number.
    """
    frame = read_columns(path)
    frame = frame.set_index(frame.columns[0])
    if frame.shape[1] == 0:
        raise InputError(f"{path} has an id column and no predictions")
    if frame.index.duplicated().any():
        twice = frame.index[frame.index.duplicated()][0]
        raise InputError(f"{path}: id {twice!r} stands there twice")
    numbers = frame.apply(pd.to_numeric, errors="coerce").astype(np.float64)
    wrong = ~np.isfinite(numbers)
    if wrong.to_numpy().any():
        column = wrong.columns[wrong.any()][0]
        given = frame.loc[wrong[column], column].iloc[0]
        raise InputError(
            f"{path}: column {column!r}: {given!r} is not a number; only numbers can be averaged"
        )
    return numbers


def _shares(weights: list[float] | None, n: int) -> np.ndarray:
    shares = np.ones(n) if weights is None else np.array(weights, dtype=np.float64)
    if len(shares) != n:
        raise InputError(f"--weights has {len(shares)} numbers for {n} files")
    if not np.isfinite(shares).all() or not shares.sum() > 0:
        raise InputError("--weights must be numbers whose sum is above zero")
    return shares / shares.sum()


def _task_of(columns: list[str], average: str) -> Task:
    """Columns of a file as a task: of probabilities, or of any numbers where these are averaged."""
    if average == "probability":
        settings = RegressionSettings(name="file", kind="regression", columns=columns)
    else:
        settings = BinarySettings(name="file", kind="binary", columns=columns)
    return KINDS[settings.kind](settings)
