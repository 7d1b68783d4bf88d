"""The runs that are blended, each with its out-of-fold predictions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from auxfold.config.experiment import Experiment
from auxfold.errors import InputError, nearest
from auxfold.storage.run_folder import OUTPUTS, FoldFolder, RunFolder
from auxfold.storage.trained import check_together, trained_folds
from auxfold.tasks import TaskSet


@dataclass(frozen=True)
class Member:
    """One finished run: all its folds, and their predictions of the rows held out of training.

    Attributes:
        name: the name of the run folder.
        experiment: the experiment that the folds were trained on.
        tasks: the tasks of the experiment.
        folders: the fold folders.
        oof: out-of-fold predictions, indexed by id.
    """

    name: str
    experiment: Experiment
    tasks: TaskSet
    folders: list[FoldFolder]
    oof: pd.DataFrame

    @classmethod
    def load(cls, run: str, trust_reader: bool = False) -> Member:
        """Load a run by its name below ``outputs/`` or by its folder.

        Args:
            run: the name or the folder.
            trust_reader: whether the code that the run names may run (``data.reader``).

        Raises:
            InputError: there is no such run, a fold is missing, the folds do not belong together,
                or the run has one split instead of folds.
        """
        path = OUTPUTS / run if (OUTPUTS / run).is_dir() else Path(run)
        folder = RunFolder(path)
        if folder.blend.is_file():
            raise InputError(f"{path} is a blend; name the runs that it was made of")
        if not folder.finished():
            trained = {p.parent.parent.name for p in OUTPUTS.glob("*/fold_*/run.json")}
            raise InputError(f"no trained run {run!r}{nearest(run, sorted(trained))} in outputs")
        folders = trained_folds(folder, list(folder.fold_names()))
        experiment = check_together(folders)
        experiment = experiment.with_origin(None) if trust_reader else experiment
        if experiment.folds.validation is not None:
            raise InputError(
                f"run {path.name} has one split (folds.validation); weights are fitted on some "
                f"folds and judged on the others: blend runs with folds, or files by --predictions"
            )
        tasks, id_column = TaskSet.from_experiment(experiment), experiment.data.id_column
        columns = [id_column, *tasks.prediction_columns]
        oof = pd.concat([fold.read_oof(columns) for fold in folders])
        return cls(path.name, experiment, tasks, folders, oof.set_index(id_column))

    def to_record(self) -> dict[str, Any]:
        """The path of the run and the fingerprints by which it is recognized later."""
        run = self.folders[0].read_run()
        return {
            "path": str(self.folders[0].path.parent),
            "experiment_fingerprint": run["experiment_fingerprint"],
            "data_fingerprint": run["data_fingerprint"],
        }
