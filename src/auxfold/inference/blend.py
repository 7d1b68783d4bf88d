"""Several runs as one prediction, by stored weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auxfold.config.experiment import Experiment
from auxfold.data.table import Table, read_texts
from auxfold.errors import InputError
from auxfold.inference.ensemble import Ensemble
from auxfold.postprocessing.averaging import check_average, from_scale, output_weights, to_scale
from auxfold.storage.atomic import read_json
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import Task

LEAST_LEFT = 0.25  # of what weights sum to regardless of sign: less nearly cancels itself


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
        needed = weighted(record)
        members = []
        for number, told in enumerate(record["members"]):
            run_folder = _member_folder(folder, told["path"])
            # The first run's ids and tasks hold even where it has no weight and one fold is there.
            folds = None if number in needed else run_folder.finished()[:1] or None
            ensemble = Ensemble.at(run_folder.path, folds)
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
            predictions = member.predict(table, own, self.average_of(member), show)
            order = pd.Index(table.ids).get_indexer(tables[0].ids)
            columns = self.columns_of(member, predictions)
            made[number] = {column: values[order] for column, values in columns.items()}
        return self.combine(made, len(tables[0]))

    def needed(self) -> list[int]:
        """The numbers of the runs that have a weight."""
        return weighted(self.record)

    def average_of(self, member: Ensemble) -> str:
        """How a run's folds are averaged: as it says itself, but not by rank.

        Weights and thresholds were found on single folds' probabilities, which ranks are not.
        """
        own = member.experiment.inference.average
        return "probability" if own == "rank" else own

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
                where hardly anything is left to scale).
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
            # Weights that nearly cancel each other would grow without limit.
            scalable = own.any() and own.sum() >= LEAST_LEFT * np.abs(own).sum()
            equal = np.full(len(numbers), whole / len(numbers))
            made[column] = own * (whole / own.sum()) if scalable else equal
        return made


def weighted(record: dict[str, Any]) -> list[int]:
    """The numbers of a blend's runs that have a weight in some column."""
    weights = np.array(list(record["weights"].values()))  # (columns, members)
    return np.flatnonzero(weights.any(axis=0)).tolist()


def _member_folder(blend: RunFolder, path: str) -> RunFolder:
    """A run: within the blend's folder (a bundle), where it was, or beside the blend.

    Beside it, where ``outputs/`` was moved as one or is looked at from elsewhere.
    """
    places = [blend.path / path, Path(path), blend.path.parent / Path(path).name]
    return next((f for f in map(RunFolder, places) if f.finished()), RunFolder(Path(path)))


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
