"""Calibrated probabilities and yes or no answers, by what was found out of fold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from auxfold.errors import InputError
from auxfold.inference.ensemble import Ensemble
from auxfold.postprocessing.calibration import METHODS_OF, apply
from auxfold.postprocessing.postprocess import stored_postprocess
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import Task


@dataclass(frozen=True)
class Postprocess:
    """What happens to predictions after the folds are averaged, or runs blended.

    Attributes:
        calibrate: ``temperature``, ``isotonic`` or None.
        decide: ``f1``, ``precision=P`` or None: answers 1 or 0 by stored thresholds.
        columns: of ``postprocess.json`` or ``blend.json``: label column to what is stored of it.
    """

    calibrate: str | None = None
    decide: str | None = None
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        ensemble: Ensemble,
        tasks: list[Task],
        calibrate: str | None,
        decide: str | None,
        average: str,
    ) -> Postprocess:
        """Read what is asked for and check it, before anything is computed.

        Args:
            ensemble: the folds; ``postprocess.json`` lies beside them.
            tasks: what will be predicted.
            calibrate: ``temperature``, ``isotonic`` or None.
            decide: ``f1``, ``precision=P`` or None.
            average: how the folds are averaged.

        Raises:
            InputError: nothing stored, or of other folds; a task that cannot be calibrated or
                decided so; both at once; ranks, which are no probabilities.
        """
        fold = ensemble.folders[0]
        folder = RunFolder(fold.path.parent)

        def columns() -> dict[str, Any]:
            return stored_postprocess(folder, fold)["columns"]

        return cls._checked(tasks, calibrate, decide, average, columns)

    @classmethod
    def of_blend(
        cls, record: dict[str, Any], tasks: list[Task], calibrate: str | None, decide: str | None
    ) -> Postprocess:
        """The same of a blend, from its ``blend.json``.

        Raises:
            InputError: as :meth:`of`, or the blend was made before it stored any.
        """

        def columns() -> dict[str, Any]:
            if "postprocess" not in record:
                raise InputError(
                    "blend.json has no thresholds and calibration; run scripts/blend.py again"
                )
            return record["postprocess"]

        return cls._checked(tasks, calibrate, decide, record["average"], columns)

    @classmethod
    def _checked(
        cls,
        tasks: list[Task],
        calibrate: str | None,
        decide: str | None,
        average: str,
        columns: Callable[[], dict[str, dict[str, Any]]],
    ) -> Postprocess:
        if calibrate is None and decide is None:
            return cls()
        if calibrate is not None and decide is not None:
            raise InputError(
                "calibrate and decide exclude each other: thresholds are those of uncalibrated "
                "predictions, and answers of 1 and 0 have nothing to calibrate"
            )
        if average == "rank":
            raise InputError(
                f"{'calibrate' if calibrate else 'decide'} needs probabilities, and average = "
                f"'rank' gives none; take probability, logit or power"
            )
        made = cls(calibrate, decide, columns())
        for task in tasks:
            made._check(task)
        return made

    def _check(self, task: Task) -> None:
        kind = task.settings.kind
        if self.calibrate is not None:
            known = METHODS_OF.get(kind, ())
            if self.calibrate not in known:
                raise InputError(
                    f"calibrate = {self.calibrate!r}: task {task.name!r} is a {kind} task, which "
                    + (f"has {', '.join(known)}" if known else "has no calibration")
                )
        elif kind != "binary":
            raise InputError(
                f"decide = {self.decide!r}: task {task.name!r} is a {kind} task; thresholds are "
                f"for binary ones"
            )
        else:
            stored = [set(self.columns[column]["thresholds"]) for column in task.settings.columns]
            rules = set.intersection(*stored)
            if self.decide not in rules:
                raise InputError(
                    f"decide = {self.decide!r}: stored are {', '.join(sorted(rules))}; for another "
                    f"precision run scripts/evaluate.py (a blend: blend.py) with --precision P"
                )

    def apply(self, tasks: list[Task], predictions: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Task name to predictions ``(rows, n_outputs)``, changed; answers are integers."""
        if self.calibrate is None and self.decide is None:
            return predictions
        return {task.name: self._of_task(task, predictions[task.name]) for task in tasks}

    def _of_task(self, task: Task, values: np.ndarray) -> np.ndarray:
        columns = task.settings.columns
        if self.decide is not None:
            cuts = [self.columns[column]["thresholds"][self.decide] for column in columns]
            # No threshold was that precise: nothing is answered with yes.
            return (values >= [np.inf if cut is None else cut for cut in cuts]).astype(np.int64)
        made = np.empty(values.shape)
        width = task.n_outputs // len(columns)  # a multi-class column has all the outputs
        for place, column in enumerate(columns):
            own = np.s_[:, place * width : (place + 1) * width]
            fitted = self.columns[column]["calibration"][self.calibrate]
            made[own] = apply(task, values[own], fitted, self.calibrate or "")
        return made
