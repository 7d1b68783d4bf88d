"""Apply calibration and thresholds that were fitted out of fold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from auxfold.data.files import format_list
from auxfold.errors import InputError
from auxfold.inference.ensemble import Ensemble
from auxfold.inference.submission import SampleSubmission
from auxfold.postprocessing.calibration import apply_calibrator
from auxfold.postprocessing.cut_points import QWK, apply_cut_points
from auxfold.postprocessing.record import load_postprocess_record
from auxfold.storage.checksums import check_file
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import Task

TUNED = "f1"  # the rule of the thresholds that a submission of decisions takes


@dataclass(frozen=True)
class Postprocess:
    """What happens to predictions after the folds are averaged, or runs blended.

    Attributes:
        calibrate: ``temperature``, ``isotonic`` or None.
        threshold: ``f1``, ``precision=P``, ``qwk`` or None. Predictions become 1 or 0 by the
            thresholds that were stored under this name, or a class by the cut points.
        columns: label column to what ``postprocess.json`` or ``blend.json`` stores for it.
        note: what a reader of the predictions should know, or an empty string.
    """

    calibrate: str | None = None
    threshold: str | None = None
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    note: str = ""

    @classmethod
    def for_ensemble(
        cls,
        ensemble: Ensemble,
        tasks: Iterable[Task],
        calibrate: str | None,
        threshold: str | None,
        average: str,
    ) -> Postprocess:
        """Read and check what is stored for the folds of a run, before any row is read.

        Args:
            ensemble: the folds; ``postprocess.json`` is in their run folder.
            tasks: the tasks to predict.
            calibrate: ``temperature``, ``isotonic`` or None.
            threshold: ``f1``, ``precision=P`` or None.
            average: how the folds are averaged.

        Raises:
            InputError: nothing is stored, or it was fitted on other folds; a task has no such
                calibration or thresholds; both are given; the average is of ranks, which are no
                probabilities.
        """
        if calibrate is None and threshold is None:
            return cls()
        _check_options(calibrate, threshold, average)
        fold = ensemble.folders[0]
        stored = load_postprocess_record(RunFolder(fold.path.parent), fold)
        postprocess = cls(calibrate, threshold, stored["columns"])
        postprocess._check_tasks(tasks)
        return postprocess

    @classmethod
    def for_blend(
        cls,
        record: dict[str, Any],
        tasks: Iterable[Task],
        calibrate: str | None,
        threshold: str | None,
    ) -> Postprocess:
        """Check what is stored for a blend, before any row is read.

        Args:
            record: the content of ``blend.json``.
            tasks: the blended tasks.
            calibrate: ``temperature``, ``isotonic`` or None.
            threshold: ``f1``, ``precision=P`` or None.

        Raises:
            InputError: as :meth:`for_ensemble`, or the blend is from a version that stored nothing.
        """
        if calibrate is None and threshold is None:
            return cls()
        _check_options(calibrate, threshold, record["average"])
        if "postprocess" not in record:
            raise InputError(
                "blend.json has no thresholds and calibration; run scripts/blend.py again"
            )
        postprocess = cls(calibrate, threshold, record["postprocess"])
        postprocess._check_tasks(tasks)
        return postprocess

    def with_decisions(
        self,
        sample: SampleSubmission | None,
        tasks: Iterable[Task],
        average: str,
        stored: dict[str, dict[str, Any]],
    ) -> Postprocess:
        """The same, with decisions of the binary columns where the sample submission holds them.

        The thresholds are those tuned for F1 where all of them are stored and belong to these
        predictions. Otherwise a prediction of 0.5 or more becomes 1.

        Args:
            sample: the sample submission, if one is filled.
            tasks: the tasks to predict.
            average: how the folds or the runs are averaged.
            stored: what is stored by column, see :func:`stored_columns`; of a blend, its
                ``postprocess``.

        Raises:
            InputError: the sample holds decisions, and the average is of ranks, which are no
                probabilities.
        """
        if sample is None or not sample.has_decisions or self.threshold is not None:
            return self
        _check_options(None, TUNED, average)
        columns = [c for t in tasks if t.has_positive_class for c in t.settings.label_columns]
        tuned = {c: stored.get(c, {}).get("thresholds", {}).get(TUNED) for c in columns}
        is_tuned = self.calibrate is None and None not in tuned.values()
        thresholds = {c: value if is_tuned else 0.5 for c, value in tuned.items()}
        decided = {c: {**stored.get(c, {}), "thresholds": {TUNED: thresholds[c]}} for c in columns}
        note = _describe_decisions(sample, thresholds, is_tuned)
        return replace(self, threshold=TUNED, columns={**stored, **decided}, note=note)

    def _check_tasks(self, tasks: Iterable[Task]) -> None:
        for task in tasks:
            if self.calibrate is not None:
                self._check_calibration(task)
            else:
                self._check_threshold(task)

    def _check_calibration(self, task: Task) -> None:
        methods = task.calibration_methods
        if self.calibrate not in methods:
            raise InputError(
                f"calibrate = {self.calibrate!r}: task {task.name!r} is a {task.kind} task, which "
                + (f"has {', '.join(methods)}" if methods else "has no calibration")
            )

    def _check_threshold(self, task: Task) -> None:
        stored = [
            self.columns.get(name, {}).get("thresholds", {}) for name in task.settings.targets
        ]
        names = set.intersection(*map(set, stored))
        if not names:
            raise InputError(
                f"threshold = {self.threshold!r}: task {task.name!r} is a {task.kind} task; "
                f"thresholds are for binary ones, cut points for ordinal ones and for a regression "
                f"with selection.metric = '<task>/qwk'"
            )
        if self.threshold not in names:
            advice = (
                "; for another precision run scripts/evaluate.py (a blend: blend.py) with "
                "--target-precision P"
            )
            raise InputError(
                f"threshold = {self.threshold!r}: stored are {', '.join(sorted(names))}"
                f"{advice if task.has_positive_class else f' for task {task.name!r}'}"
            )

    def apply(
        self, tasks: Iterable[Task], predictions: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Calibrate predictions, or replace them by integers 1 and 0.

        Args:
            tasks: the predicted tasks.
            predictions: task name to predictions ``(rows, n_outputs)``.

        Returns:
            Task name to values ``(rows, n_outputs)``.
        """
        processed = {}
        for task in tasks:
            values = predictions[task.name]
            if self.calibrate is not None:
                values = self._calibrate(task, values)
            if self.threshold == QWK:
                values = self._apply_cut_points(task, values)
            elif self.threshold is not None and task.has_positive_class:
                values = self._apply_thresholds(task, values)
            processed[task.name] = values
        return processed

    def _apply_thresholds(self, task: Task, values: np.ndarray) -> np.ndarray:
        stored = [
            self.columns[column]["thresholds"][self.threshold]
            for column in task.settings.label_columns
        ]
        # None: no threshold had the target precision, and every prediction becomes 0.
        thresholds = [np.inf if threshold is None else threshold for threshold in stored]
        return (values >= thresholds).astype(np.int64)

    def _apply_cut_points(self, task: Task, values: np.ndarray) -> np.ndarray:
        decided = [
            apply_cut_points(
                task,
                values[:, task.output_slice(position)],
                **self.columns[target]["thresholds"][QWK],
            )
            for position, target in enumerate(task.settings.targets)
        ]
        return np.concatenate(decided, axis=1)

    def _calibrate(self, task: Task, values: np.ndarray) -> np.ndarray:
        columns = task.settings.targets
        calibrated = np.empty(values.shape)
        width = task.n_outputs // len(columns)  # a multi-class column has all the outputs
        for index, column in enumerate(columns):
            outputs = np.s_[:, index * width : (index + 1) * width]
            fitted = self.columns[column]["calibration"][self.calibrate]
            method = self.calibrate or ""
            calibrated[outputs] = apply_calibrator(task, values[outputs], fitted, method)
        return calibrated


def stored_columns(ensemble: Ensemble) -> dict[str, dict[str, Any]]:
    """What ``postprocess.json`` stores for the folds of an ensemble; empty where nothing is."""
    fold = ensemble.folders[0]
    folder = RunFolder(fold.path.parent)
    if folder.postprocess.is_file():
        check_file(folder.postprocess)  # damaged is not the same as missing
    try:
        columns = load_postprocess_record(folder, fold)["columns"]
    except InputError:
        return {}
    return dict(columns)


def _describe_decisions(
    sample: SampleSubmission, thresholds: dict[str, float], is_tuned: bool
) -> str:
    values = [f"{column} {value:.3g}" for column, value in thresholds.items()]
    rule = f"tuned for F1 out of fold ({format_list(values)})" if is_tuned else "0.5"
    advice = "" if is_tuned else "; tuned ones are those that evaluate stores"
    return (
        f"{sample.path} asks for decisions, so labels are decided by thresholds: {rule}{advice}; "
        f"--set inference.submission=probabilities writes probabilities"
    )


def _check_options(calibrate: str | None, threshold: str | None, average: str) -> None:
    if calibrate is not None and threshold is not None:
        raise InputError(
            "calibrate and threshold exclude each other: thresholds are those of uncalibrated "
            "predictions, and predictions of 1 and 0 cannot be calibrated"
        )
    if average == "rank":
        raise InputError(
            f"{'calibrate' if calibrate else 'threshold'} needs probabilities, and average = "
            f"'rank' gives none; take probability, logit or power"
        )
