"""A bundle on Kaggle: the folds of one run, or those of every run of a blend."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer

from auxfold.config.experiment import Experiment, load_experiment
from auxfold.data.loading import read_prediction_table
from auxfold.data.table import Table
from auxfold.errors import InputError
from auxfold.inference.blend import Blend
from auxfold.inference.ensemble import Ensemble
from auxfold.inference.postprocess import Postprocess, stored_columns
from auxfold.inference.submission import SampleSubmission
from auxfold.kaggle.manifest import EXPERIMENT, MANIFEST, check_files, read_manifest
from auxfold.kaggle.versions import WAY_OUT, installed_versions
from auxfold.model.config import MultiTaskConfig
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import Task, TaskSet


def check_bundle(bundle: Path) -> dict[str, Any]:
    """Check that a bundle is complete and can be loaded here, and return its manifest.

    Raises:
        InputError: a file is missing, is not the one that was bundled, or was not bundled at all;
            the manifest is damaged; or the packages here cannot load a fold.
    """
    manifest = read_manifest(bundle)
    check_files(bundle, manifest["files"], MANIFEST)
    for run, folds in manifest["runs"].items():
        check_loadable(bundle / run / folds[0], manifest["versions"])
    return manifest


def check_loadable(fold: Path, versions: dict[str, str]) -> None:
    """Refuse a fold whose backbone or tokenizer the packages here do not know.

    Args:
        fold: its folder.
        versions: those that the fold was bundled with.

    Raises:
        InputError: naming the package that is too old.
    """
    try:
        MultiTaskConfig.from_pretrained(fold).backbone_config()
    except (ValueError, KeyError) as error:
        raise _too_old("transformers", "backbone", fold, versions, error) from None
    try:
        AutoTokenizer.from_pretrained(fold, trust_remote_code=False)
    except Exception as error:  # the parser of tokenizers raises a bare Exception
        raise _too_old("tokenizers", "tokenizer", fold, versions, error) from None


def _too_old(
    package: str, part: str, fold: Path, versions: dict[str, str], error: Exception
) -> InputError:
    reason = " ".join(str(error).split())[:200]
    return InputError(
        f"{package} {installed_versions()[package]} cannot load the {part} of {fold.name}, which "
        f"was bundled with {package} {versions[package]} ({reason}); {WAY_OUT}"
    )


@dataclass(frozen=True)
class LoadedBundle:
    """The runs of a bundle, and how they are combined.

    Attributes:
        path: the folder of the bundle.
        competition: the name of the competition whose test file it predicts.
        runs: folder within the bundle to run: one run, or those of a blend. The ids, tasks and
            sample submission of the first are used.
        folds: every fold that predicts, as a path within the bundle, in the order of the work.
        blend: the weights; None where there is one run.
        backbone_source: the Kaggle model or dataset with the backbone of adapters; None: there are
            none, or the bundle has it.
    """

    path: Path
    competition: str
    runs: dict[str, Ensemble]
    folds: list[str]
    blend: Blend | None
    backbone_source: str | None = None

    @classmethod
    def from_folder(cls, bundle: Path) -> LoadedBundle:
        """The bundle in a folder."""
        manifest = read_manifest(bundle)
        runs = {}
        for run, folds in manifest["runs"].items():
            ensemble = Ensemble.from_folder(bundle / run, [_fold_name(fold) for fold in folds])
            # As it was bundled: [inference] and the test file may be others than in training. The
            # reader may run, as the bundle also brings the package itself.
            experiment = load_experiment(bundle / run / EXPERIMENT, trust_reader=True)
            runs[run] = replace(ensemble, experiment=experiment)
        folder, blend = RunFolder(bundle), None
        if folder.blend.is_file():
            blend = Blend(folder, folder.read_blend(), list(runs.values()))
        competition, source = manifest["competition"], manifest.get("backbone")
        return cls(bundle, competition, runs, manifest["folds"], blend, source)

    @property
    def experiment(self) -> Experiment:
        """The experiment of the first run."""
        return self._first_run.experiment

    @property
    def tasks(self) -> TaskSet:
        """All tasks of the first run."""
        return self._first_run.tasks

    def run_of_fold(self, fold: str) -> str:
        """The run that a fold belongs to."""
        return Path(fold).parent.as_posix()

    def select_tasks(self, names: list[str] | None) -> TaskSet:
        """The tasks to predict: those of a blend; of one run the named ones, or the main task."""
        return self.blend.tasks if self.blend else self._first_run.select_tasks(names)

    def run_tasks(self, run: str, tasks: TaskSet) -> TaskSet:
        """The tasks of a run whose heads are computed to predict ``tasks``."""
        return self.blend.member_tasks(self.runs[run]) if self.blend else tasks

    def fold_average(self, run: str) -> str:
        """How the folds of a run are averaged."""
        ensemble = self.runs[run]
        if self.blend:
            return self.blend.fold_average(ensemble)
        return ensemble.experiment.inference.average

    @property
    def is_split(self) -> bool:
        """Whether the rows to predict are those that ``data.split`` marks in the training file."""
        data = self.experiment.data
        return data.test is not None and data.marks_test_rows(data.test)

    def table(self, test: Path) -> Table:
        """The rows to predict: all runs read the same columns of the same file.

        Raises:
            InputError: as ``read_prediction_table``.
        """
        return read_prediction_table(self.experiment, str(test), is_split=self.is_split)

    def postprocess(
        self,
        tasks: Iterable[Task],
        calibrate: str | None,
        threshold: str | None,
    ) -> Postprocess:
        """The last step, after folds and runs are averaged, checked before any row is read.

        Raises:
            InputError: as :meth:`Postprocess.for_ensemble`.
        """
        if self.blend:
            return Postprocess.for_blend(self.blend.record, tasks, calibrate, threshold)
        average = self.experiment.inference.average
        return Postprocess.for_ensemble(self._first_run, tasks, calibrate, threshold, average)

    def with_decisions(
        self, postprocess: Postprocess, tasks: TaskSet, sample: SampleSubmission | None
    ) -> Postprocess:
        """The last step with decisions where the sample submission holds them.

        Raises:
            InputError: as :meth:`Postprocess.with_decisions`.
        """
        if self.blend:
            average, stored = self.blend.record["average"], self.blend.record.get("postprocess", {})
        else:
            average, stored = self.experiment.inference.average, stored_columns(self._first_run)
        return postprocess.with_decisions(sample, tasks, average, stored)

    def combine(
        self, predictions: dict[str, dict[str, np.ndarray]], n_rows: int
    ) -> dict[str, np.ndarray]:
        """The average of the runs.

        Args:
            predictions: run to its predictions by task name, ``(rows, n_outputs)``; only those runs
                of which a fold was finished.
            n_rows: the number of rows.

        Returns:
            Task name to predictions ``(rows, n_outputs)``.
        """
        if self.blend is None:
            return predictions["."]
        columns = {
            index: self.blend.predictions_by_column(ensemble, predictions[run])
            for index, (run, ensemble) in enumerate(self.runs.items())
            if run in predictions
        }
        return self.blend.combine(columns, n_rows)

    @property
    def _first_run(self) -> Ensemble:
        return next(iter(self.runs.values()))


def _fold_name(folder: str) -> int | str:
    """``2`` of ``fold_2``, ``"full"`` of ``fold_full``."""
    name = folder.removeprefix("fold_")
    return int(name) if name.isdecimal() else name
