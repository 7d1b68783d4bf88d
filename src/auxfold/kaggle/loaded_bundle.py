"""A bundle as it lies on Kaggle: the folds of one run, or of every run of a blend."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from auxfold.config.experiment import Experiment, load_experiment
from auxfold.data.table import Table, read_texts
from auxfold.errors import InputError
from auxfold.inference.blend import Blend
from auxfold.inference.ensemble import Ensemble
from auxfold.inference.postprocess import Postprocess
from auxfold.kaggle.manifest import EXPERIMENT, MANIFEST, sha256
from auxfold.storage.atomic import read_json
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import Task


def check_bundle(bundle: Path) -> dict[str, Any]:
    """The manifest, every file of it compared with its digest.

    Raises:
        InputError: a file is missing or is not what was bundled.
    """
    manifest = read_json(bundle / MANIFEST)
    for name, digest in manifest["files"].items():
        path = bundle / name
        if not path.is_file():
            raise InputError(f"{path} is missing; upload the dataset again with `-r zip`")
        if sha256(path) != digest:
            raise InputError(f"{path} is not the file that was bundled; upload the dataset again")
    return manifest


@dataclass(frozen=True)
class LoadedBundle:
    """What a bundle predicts with.

    Attributes:
        path: of the bundle.
        competition: whose test file it is for.
        runs: one, or a blend's, by their folders within the bundle; the first one's ids, tasks and
            sample submission hold.
        folds: every fold that predicts, as a path within the bundle, in the order of the work.
        blend: the weights, where there are several runs.
    """

    path: Path
    competition: str
    runs: dict[str, Ensemble]
    folds: list[str]
    blend: Blend | None

    @classmethod
    def at(cls, bundle: Path) -> LoadedBundle:
        """The bundle in a folder."""
        manifest = read_json(bundle / MANIFEST)
        runs = {}
        for run, folds in manifest["runs"].items():
            ensemble = Ensemble.at(bundle / run, [_number(fold) for fold in folds])
            # As it was bundled: [inference] and the test file may be others than in training.
            experiment = load_experiment(bundle / run / EXPERIMENT)
            runs[run] = replace(ensemble, experiment=experiment)
        folder, blend = RunFolder(bundle), None
        if folder.blend.is_file():
            blend = Blend(folder, read_json(folder.blend), list(runs.values()))
        return cls(bundle, manifest["competition"], runs, manifest["folds"], blend)

    @property
    def experiment(self) -> Experiment:
        """The first run's."""
        return next(iter(self.runs.values())).experiment

    def run_of(self, fold: str) -> str:
        """The run that a fold belongs to."""
        return Path(fold).parent.as_posix()

    def tasks(self, names: list[str] | None) -> list[Task]:
        """What is predicted: a blend's tasks; of one run the named ones, or the main task."""
        return self.blend.tasks() if self.blend else self._only.tasks(names)

    def run_tasks(self, run: str, tasks: list[Task]) -> list[Task]:
        """Whose heads of a run are computed for these tasks."""
        return self.blend.member_tasks(self.runs[run]) if self.blend else tasks

    def average_of(self, run: str) -> str:
        """How a run's folds are averaged."""
        one = self.runs[run]
        return self.blend.average_of(one) if self.blend else one.experiment.inference.average

    def table(self, test: Path) -> Table:
        """The rows to predict: all runs read the same columns of the same file.

        Raises:
            InputError: as ``read_texts``.
        """
        return read_texts(self.experiment, str(test))

    def postprocess(
        self, tasks: list[Task], calibrate: str | None, decide: str | None
    ) -> Postprocess:
        """What happens to predictions in the end."""
        if self.blend:
            return Postprocess.of_blend(self.blend.record, tasks, calibrate, decide)
        average = self.experiment.inference.average
        return Postprocess.of(self._only, tasks, calibrate, decide, average)

    def combine(self, made: dict[str, dict[str, np.ndarray]], n_rows: int) -> dict[str, np.ndarray]:
        """The predictions of the runs that were finished, by run and task, as one."""
        if self.blend is None:
            return made["."]
        columns = {
            number: self.blend.columns_of(self.runs[run], made[run])
            for number, run in enumerate(self.runs)
            if run in made
        }
        return self.blend.combine(columns, n_rows)

    @property
    def _only(self) -> Ensemble:
        return self.runs["."]


def _number(fold: str) -> int | str:
    name = fold.removeprefix("fold_")
    return int(name) if name.isdecimal() else name
