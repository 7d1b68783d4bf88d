"""What a person sees of a fold's training: the bar or lines, and the curves in W&B."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from auxfold.config import BIAS
from auxfold.config.experiment import Experiment
from auxfold.evaluation.scores import Evaluation
from auxfold.fairness.bias_table import bias_frame
from auxfold.storage.run_folder import FoldFolder, RunFolder
from auxfold.tasks import TaskSet
from auxfold.tracking.progress import Display
from auxfold.tracking.tracker import Tracker
from auxfold.training.checkpoint import Progress
from auxfold.training.weighting.task_weighting import TaskWeighting


@dataclass(frozen=True)
class Window:
    """The sums of :class:`Progress` where a point of the curves starts."""

    losses: dict[str, float]
    labeled_steps: dict[str, int]
    steps: int
    gradient_norm: float


EMPTY_WINDOW = Window({}, {}, 0, 0.0)


class FoldLog:
    """Logs every step and every evaluation of one fold.

    Args:
        experiment: named in W&B.
        fold: the number of the fold, or ``full``.
        tasks: all tasks of the experiment.
        progress: how far the training has come; it holds the id of its W&B run.
        weighting: gives the tasks' weights, gradient norms and cosines.
        n_rows: rows of the whole training, all epochs.
        environment: what the W&B run's configuration holds next to the experiment.
        quiet: print nothing (every process but the first).
    """

    def __init__(
        self,
        experiment: Experiment,
        fold: int | str,
        tasks: TaskSet,
        progress: Progress,
        *,
        weighting: TaskWeighting,
        n_rows: int,
        environment: dict[str, Any],
        quiet: bool,
    ) -> None:
        self.experiment, self.fold, self.tasks = experiment, fold, tasks
        self.weighting = weighting
        self.title = f"fold {fold}" if isinstance(fold, int) else fold
        headline = tasks.headline_metrics() + experiment.identities.metrics[:1]
        self.display = Display(self.title, n_rows, progress.rows, quiet, headline)
        self.tracker = Tracker(
            experiment,
            "train",
            f"fold{fold}",
            RunFolder.of(experiment).path,
            run_id=progress.tracking_id,
            active=not quiet,
            extra={"fold": fold, **environment},
        )
        # Not lost when W&B is off for once: a later resumption continues the run.
        progress.tracking_id = self.tracker.run_id or progress.tracking_id
        self._n_points = 0
        self._rows, self._seconds = progress.rows, progress.seconds
        self._window = EMPTY_WINDOW
        self._start_window(progress)

    def step(self, progress: Progress) -> None:
        """Count one step; every ``tracking.log_every`` steps are one point of the curves."""
        self.display.step(progress)
        if progress.window_steps <= self._window.steps:  # an evaluation has reset the sums
            self._window = EMPTY_WINDOW
        if progress.window_steps - self._window.steps < self.experiment.tracking.log_every:
            return
        self.tracker.log(self._point(progress) | self.weighting.pop_log())
        self._start_window(progress)
        self._n_points += 1

    def _point(self, progress: Progress) -> dict[str, Any]:
        """One point of the training curves: means over the steps of the window."""
        window, seconds = self._window, progress.seconds - self._seconds
        steps = progress.window_steps - window.steps
        norm = progress.gradient_norm - window.gradient_norm
        point: dict[str, Any] = {
            "rows": progress.rows,
            "learning_rate": progress.learning_rate,
            "gradient_norm": norm / steps,
            "rows_per_second": (progress.rows - self._rows) / max(seconds, 1e-9),
        }
        for name, total in progress.losses.items():
            labeled = progress.labeled_steps[name] - window.labeled_steps.get(name, 0)
            if labeled:
                point[f"train/{name}"] = (total - window.losses.get(name, 0.0)) / labeled
        if torch.cuda.is_available():
            point["gpu_memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
        return point

    def _start_window(self, progress: Progress) -> None:
        self._window = Window(
            losses=dict(progress.losses),
            labeled_steps=dict(progress.labeled_steps),
            steps=progress.window_steps,
            gradient_norm=progress.gradient_norm,
        )
        self._rows, self._seconds = progress.rows, progress.seconds

    def evaluation(self, record: dict[str, Any], is_best: bool) -> None:
        """Show one evaluation, and log its metrics; with them the tasks' weights, if constant."""
        self.display.evaluation(record, is_best)
        metrics = self.tasks.metrics_to_show(record.get("metrics") or {})
        values = {"rows": record["rows"], "epoch": record["epoch"]}
        values |= {f"valid/{name}": value for name, value in metrics.items()}
        if self.experiment.task_weighting.method == "fixed":
            values |= {f"weight/{task.name}": task.weight for task in self.experiment.tasks}
        self.weighting.pop_log()  # the next point starts after this evaluation
        if not self._n_points:  # fewer steps than a point takes: this is the point
            values |= {f"train/{name}": loss for name, loss in record["train_loss"].items()}
            values |= flatten(record.get("task_weighting", {}))
        self.tracker.log(values)
        self._n_points = 0

    def finish(self, folder: FoldFolder, evaluation: Evaluation) -> None:
        """Log the finished fold: its metrics into the summary, its files as artifacts."""
        self.display.close()
        name = self.experiment.name
        metrics = {f"final/{metric}": value for metric, value in evaluation.metrics.items()}
        self.tracker.summary(metrics)
        if evaluation.bias is not None:
            self.tracker.table(BIAS, bias_frame(evaluation.bias))
        self._log_file(f"{name}-folds", "folds", RunFolder.of(self.experiment).folds)
        self._log_file(f"{name}-fold{self.fold}-oof", "oof", folder.oof)
        if self.experiment.tracking.upload_model:
            self._log_file(f"{name}-fold{self.fold}", "model", folder.path)
        self.tracker.finish()

    def _log_file(self, name: str, kind: str, path: Path) -> None:
        if path.exists():  # "full" has neither folds nor out-of-fold rows
            self.tracker.artifact(name, kind, path)

    def fail(self) -> None:
        """Mark the run as failed; ``--resume`` will continue it."""
        self.display.close()
        self.tracker.finish(failed=True)


def flatten(summary: dict[str, Any]) -> dict[str, float]:
    """``{"weight": {task: …}, …}`` as ``{"weight/<task>": …}``."""
    values: dict[str, float] = {}
    for quantity, by_task in summary.items():
        pairs = by_task.items() if isinstance(by_task, dict) else [("", by_task)]
        values |= {f"{quantity}/{name}".rstrip("/"): value for name, value in pairs}
    return values
