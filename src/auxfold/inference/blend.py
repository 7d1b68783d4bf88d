"""Several runs as one prediction, averaged with stored weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auxfold.config.experiment import Experiment
from auxfold.data.ids import check_same_ids
from auxfold.data.loading import read_prediction_table
from auxfold.data.table import Table
from auxfold.errors import InputError
from auxfold.inference.ensemble import Ensemble
from auxfold.inference.fold_loader import FoldLoader
from auxfold.model.amp import default_device
from auxfold.postprocessing.averaging import check_average, from_scale, output_weights, to_scale
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import TaskSet

# Weights whose sum is a smaller part of the sum of their absolute values nearly cancel each other.
MIN_RELATIVE_SUM = 0.25


@dataclass(frozen=True)
class Blend:
    """The runs of a ``blend.json``, checked to be those that its weights were fitted for.

    Attributes:
        folder: the folder of the blend.
        record: the content of ``blend.json``.
        members: the folds of every run. A run without a weight may have only one.
    """

    folder: RunFolder
    record: dict[str, Any]
    members: list[Ensemble]

    @classmethod
    def from_folder(cls, path: str | Path, trust_reader: bool = False) -> Blend:
        """The blend in a folder that ``scripts/blend.py`` wrote.

        Args:
            path: the folder.
            trust_reader: whether the code that the runs name may run (``data.reader``).

        Raises:
            InputError: there is no blend, a run is missing, or it was trained again with other
                settings or data.
        """
        folder = RunFolder(Path(path))
        if not folder.blend.is_file():
            raise InputError(f"no {folder.blend}; make it with scripts/blend.py --runs")
        record = folder.read_blend()
        weighted = weighted_members(record)
        members = []
        for index, entry in enumerate(record["members"]):
            run_folder = _find_member(folder, entry["path"])
            # The ids and tasks of the first run are used even if it has no weight. Its fold models
            # are not, and a bundle has only one of them.
            folds = None if index in weighted else run_folder.finished()[:1] or None
            ensemble = Ensemble.from_folder(run_folder.path, folds, trust_reader)
            run = ensemble.folders[0].read_run()
            for subject in ("experiment", "data"):
                if run[f"{subject}_fingerprint"] != entry[f"{subject}_fingerprint"]:
                    raise InputError(
                        f"{entry['path']} is not the run that was blended: its {subject} "
                        f"fingerprint is another one; run scripts/blend.py again"
                    )
            members.append(ensemble)
        return cls(folder, record, members)

    @property
    def experiment(self) -> Experiment:
        """The experiment of the first run, whose ids, tasks and sample submission are used."""
        return self.members[0].experiment

    @cached_property
    def tasks(self) -> TaskSet:
        """The tasks that are blended."""
        return self.members[0].select_tasks(self.record["tasks"])

    def tables(
        self,
        source: str | None,
        renames: dict[str, str] | None = None,
        without_ids: bool = False,
    ) -> list[Table]:
        """The table to predict as every run reads it, checked to hold the same rows.

        Args:
            source: one file for all runs; None: the ``data.test`` of each run, or else of the
                first.
            renames: columns of ``source`` and their names in the experiments.
            without_ids: ``source`` has no ids, and its rows are numbered from 0.

        Raises:
            InputError: a file or a column is missing, or the ids differ from those of the first
                run.
        """
        default = source or self.experiment.data.test
        if default is None:
            raise InputError("the first run has no data.test; give --input")
        experiments = [member.experiment for member in self.members]
        columns_read = [{e.data.id_column, *e.data.text_columns} for e in experiments]
        tables = []
        for experiment, columns in zip(experiments, columns_read, strict=True):
            path = source or experiment.data.test or default
            # The first run also gets the names that no run reads, and refuses them.
            others = set().union(*columns_read) - columns
            names = {old: new for old, new in (renames or {}).items() if new not in others}
            tables.append(read_prediction_table(experiment, path, names, without_ids))
            check_same_ids(tables[0].ids, tables[-1].ids, tables[0].path, path)
        return tables

    def predict(self, tables: list[Table], show: bool = True) -> dict[str, np.ndarray]:
        """Task name to predictions ``(rows, n_outputs)``, in the order of the first table.

        Only one fold model is in memory at a time, next to the backbone that adapters share. A run
        without a weight is not computed.

        Args:
            tables: as of :meth:`tables`.
            show: whether to show progress bars.
        """
        ids = tables[0].ids
        check_average(self.record["average"], self.tasks, len(ids))
        member_columns = {}
        loader = FoldLoader(default_device())
        for index in self.weighted_members():
            member, table = self.members[index], tables[index]
            tasks = self.member_tasks(member)
            predictions = member.predict(
                table, tasks, self.fold_average(member), show, loader=loader
            )
            order = pd.Index(table.ids).get_indexer(ids)
            columns = self.predictions_by_column(member, predictions)
            member_columns[index] = {name: values[order] for name, values in columns.items()}
        return self.combine(member_columns, len(ids))

    def weighted_members(self) -> list[int]:
        """The indices of the runs that have a weight."""
        return weighted_members(self.record)

    def fold_average(self, member: Ensemble) -> str:
        """How the folds of a run are averaged: as its experiment says, but not by rank.

        Weights and thresholds were fitted on probabilities of single folds, and ranks are none.
        """
        average = member.experiment.inference.average
        return "probability" if average == "rank" else average

    def member_tasks(self, member: Ensemble) -> TaskSet:
        """The tasks of a run that predict the blended columns; their names may differ."""
        blended = {column for task in self.tasks for column in task.settings.targets}
        names = [task.name for task in member.tasks if blended & set(task.settings.targets)]
        return member.select_tasks(names)

    def predictions_by_column(
        self, member: Ensemble, predictions: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Predicted column to values ``(rows,)``, from predictions by the run's task names."""
        return {
            column: predictions[task.name][:, index]
            for task in self.member_tasks(member)
            for index, column in enumerate(task.prediction_columns)
        }

    def combine(
        self, member_columns: dict[int, dict[str, np.ndarray]], n_rows: int
    ) -> dict[str, np.ndarray]:
        """The weighted average of the predictions of runs.

        Args:
            member_columns: index of the run to its predictions by column, ``(rows,)``, in the same
                order of rows. If a run is missing, the weights of the others are scaled to the sum
                of all (and are equal if they nearly cancel each other).
            n_rows: the number of rows.

        Returns:
            Task name to predictions ``(rows, n_outputs)``.
        """
        average, power = self.record["average"], self.record["power"]
        indices = sorted(member_columns)
        weights = self._scaled_weights(indices)
        sums = {task.name: np.zeros((n_rows, task.n_outputs)) for task in self.tasks}
        for position, index in enumerate(indices):
            columns = member_columns[index]
            for task in self.tasks:
                values = np.stack([columns[name] for name in task.prediction_columns], axis=1)
                scaled = to_scale(task, values, average, power)
                sums[task.name] += output_weights(task, weights)[position] * scaled
        return {task.name: from_scale(task, sums[task.name], average, power) for task in self.tasks}

    def _scaled_weights(self, indices: list[int]) -> dict[str, np.ndarray]:
        """Column to the weights of some runs, scaled to the sum of the weights of all runs."""
        stored = {column: np.array(values) for column, values in self.record["weights"].items()}
        if set(self.weighted_members()) <= set(indices):
            return {column: values[indices] for column, values in stored.items()}
        scaled = {}
        for column, values in stored.items():
            selected, total = values[indices], values.sum()
            # Weights that nearly cancel each other would grow without limit.
            is_scalable = selected.sum() >= MIN_RELATIVE_SUM * np.abs(selected).sum()
            if selected.any() and is_scalable:
                scaled[column] = selected * (total / selected.sum())
            else:
                scaled[column] = np.full(len(indices), total / len(indices))
        return scaled


def weighted_members(record: dict[str, Any]) -> list[int]:
    """The indices of a blend's runs that have a weight in some column.

    Args:
        record: the content of ``blend.json``.
    """
    weights = np.array(list(record["weights"].values()))  # (columns, members)
    return np.flatnonzero(weights.any(axis=0)).tolist()


def _find_member(blend: RunFolder, path: str) -> RunFolder:
    """The folder of a run: in the blend's folder (a bundle), at ``path``, or next to the blend.

    It is next to the blend where ``outputs/`` was moved as a whole or is read from another folder.
    """
    candidates = [blend.path / path, Path(path), blend.path.parent / Path(path).name]
    folders = [RunFolder(candidate) for candidate in candidates]
    return next((folder for folder in folders if folder.finished()), RunFolder(Path(path)))
