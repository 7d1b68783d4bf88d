"""What a person sees of a fold's training: the bar or lines, and the curves in W&B."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from auxfold.config import BIAS
from auxfold.config.experiment import Experiment
from auxfold.fairness.bias_table import bias_frame
from auxfold.fairness.jigsaw_bias import Bias
from auxfold.storage.run_folder import FoldFolder, RunFolder
from auxfold.tasks import headline, shown
from auxfold.tracking.progress import Display
from auxfold.tracking.tracker import Tracker
from auxfold.training.checkpoint import Progress


def flat(task_weighting: dict[str, Any]) -> dict[str, float]:
    """``{"weight": {task: …}, …}`` as ``weight/<task>``."""
    told = {}
    for what, values in task_weighting.items():
        several = values.items() if isinstance(values, dict) else [("", values)]
        told |= {f"{what}/{name}".rstrip("/"): value for name, value in several}
    return told


class FoldLog:
    """Told of every step and every evaluation of one fold.

    Args:
        experiment: named in W&B.
        fold: the fold's number or ``full``.
        progress: where the training stands; keeps the id of its W&B run.
        rows: rows of the whole training, all epochs.
        learning_rate: gives the current one.
        balance: gives the tasks' weights, gradient norms and cosines since its last call.
        facts: what stands in the run's configuration beside the experiment.
        quiet: say nothing (all processes but the first).
    """

    def __init__(
        self,
        experiment: Experiment,
        fold: int | str,
        progress: Progress,
        rows: int,
        learning_rate: Callable[[], float],
        task_weighting: Callable[[], dict[str, float]],
        facts: dict[str, Any],
        quiet: bool,
    ) -> None:
        self.experiment, self.fold = experiment, fold
        self.learning_rate, self.task_weighting = learning_rate, task_weighting
        self.title = f"fold {fold}" if isinstance(fold, int) else fold
        told = headline(experiment) + experiment.identities.metrics[:1]
        self.display = Display(self.title, rows, progress.rows, quiet, told)
        self.tracker = Tracker(
            experiment,
            "train",
            f"fold{fold}",
            RunFolder.of(experiment).path,
            run_id=progress.tracking_id,
            active=not quiet,
            extra={"fold": fold, **facts},
        )
        # Kept when W&B is off for once: a later resumption goes on with the run.
        progress.tracking_id = self.tracker.run_id or progress.tracking_id
        self._points = 0
        self._start_window(progress)

    def step(self, progress: Progress, rows: int) -> None:
        """Count one step; every so many of them are one point of the curves."""
        self.display.step(progress, rows)
        if progress.steps <= self._steps:  # an evaluation has begun the sums anew
            self._losses, self._labelled = {}, {}
            self._norm, self._norms, self._steps = 0.0, 0, 0
        steps = progress.steps - self._steps
        if steps < self.experiment.tracking.log_every:
            return
        norms, seconds = progress.norms - self._norms, time.monotonic() - self._since
        record: dict[str, Any] = {
            "rows": progress.rows,
            "learning_rate": self.learning_rate(),
            "gradient_norm": (progress.gradient_norm - self._norm) / norms if norms else None,
            "rows_per_second": (progress.rows - self._rows) / max(seconds, 1e-9),
        }
        for name, total in progress.losses.items():
            labelled = progress.labelled[name] - self._labelled.get(name, 0)
            if labelled:
                record[f"train/{name}"] = (total - self._losses.get(name, 0.0)) / labelled
        record |= self.task_weighting()
        if torch.cuda.is_available():
            record["gpu_memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
        self.tracker.log(record)
        self._start_window(progress)
        self._points += 1

    def _start_window(self, progress: Progress) -> None:
        """Where the sums stand from which the next point is taken."""
        self._losses, self._labelled = dict(progress.losses), dict(progress.labelled)
        self._steps = progress.steps
        self._norm, self._norms = progress.gradient_norm, progress.norms
        self._rows, self._since = progress.rows, time.monotonic()

    def evaluation(self, record: dict[str, Any], is_best: bool) -> None:
        """Show one evaluation, and log its metrics; with them the tasks' weights, if constant."""
        self.display.evaluation(record, is_best)
        metrics = shown(self.experiment, record.get("metrics") or {})
        told = {"rows": record["rows"], "epoch": record["epoch"]}
        told |= {f"valid/{name}": value for name, value in metrics.items()}
        if self.experiment.task_weighting.method == "fixed":
            told |= {f"weight/{task.name}": task.weight for task in self.experiment.tasks}
        self.task_weighting()  # the next point begins behind this evaluation
        if not self._points:  # fewer steps than a point takes: then this is the point
            told |= {f"train/{name}": loss for name, loss in record["train_loss"].items()}
            told |= flat(record.get("balance", {}))
        self.tracker.log(told)
        self._points = 0
        self._since = time.monotonic()  # the evaluation's time is not training's
        self._rows = record["rows"]

    def finish(
        self, folder: FoldFolder, metrics: dict[str, float | None], bias: Bias | None
    ) -> None:
        """The finished fold: its numbers into the summary, its files as artifacts."""
        name = self.experiment.name
        self.tracker.summary({f"final/{metric}": value for metric, value in metrics.items()})
        if bias is not None:
            self.tracker.table(BIAS, bias_frame(bias))
        self._files(f"{name}-folds", "folds", RunFolder.of(self.experiment).folds)
        self._files(f"{name}-fold{self.fold}-oof", "oof", folder.oof)
        if self.experiment.tracking.upload_model:
            self._files(f"{name}-fold{self.fold}", "model", folder.path)
        self.tracker.finish()

    def _files(self, name: str, kind: str, path: Path) -> None:
        if path.exists():  # "full" has neither folds nor out-of-fold rows
            self.tracker.artifact(name, kind, path)

    def fail(self) -> None:
        """The training ended early: mark the run so, `--resume` will continue it."""
        self.display.close()
        self.tracker.finish(failed=True)
