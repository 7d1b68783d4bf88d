"""Weights & Biases: one run per fold, grouped by experiment. It never stops a training."""

from __future__ import annotations

import os
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Any

from auxfold.experiment import Experiment


class Tracker:
    """Logs one fold's records; does nothing when tracking is off or W&B fails.

    Args:
        experiment: its ``[tracking]`` section decides the mode; ``auto`` is online where there is
            a login, else offline.
        fold: the fold's number or ``full``.
        folder: where offline records go.
        active: false on all processes but the first.
    """

    def __init__(
        self, experiment: Experiment, fold: int | str, folder: Path, active: bool = True
    ) -> None:
        self.run: Any = None
        mode = wandb_mode(experiment.tracking.wandb)
        if mode == "off" or not active:
            return
        try:
            import wandb

            folder.mkdir(parents=True, exist_ok=True)
            self.run = wandb.init(
                project=experiment.tracking.project or experiment.name,
                group=experiment.name,
                name=f"{experiment.name}-fold{fold}",
                job_type="train",
                config={**experiment.model_dump(mode="json"), "fold": fold},
                dir=folder,
                mode=mode,
                settings=wandb.Settings(silent=True),
            )
        except Exception as error:  # a network, login or version problem of any kind
            self._fail(error)
            return
        if mode == "offline":
            print(f"W&B offline; to upload: wandb sync {Path(self.run.dir).parent}")

    def log(self, record: dict[str, Any]) -> None:
        """One evaluation: losses per task, learning rate, rows and metrics."""
        flat = {key: record[key] for key in ("epoch", "rows", "learning_rate", "gradient_norm")}
        flat |= {f"train_loss/{task}": loss for task, loss in record["train_loss"].items()}
        metrics = record.get("metrics") or {}
        flat |= {f"valid/{name}": value for name, value in metrics.items() if value is not None}
        self._call("log", flat)

    def finish(self, metrics: dict[str, float | None]) -> None:
        """The fold's final metrics into the summary; ends the run."""
        defined = {f"final/{name}": v for name, v in metrics.items() if v is not None}
        self._call("log", defined)
        self._call("finish")

    def _call(self, method: str, *arguments: Any) -> None:
        if self.run is None:
            return
        try:
            getattr(self.run, method)(*arguments)
        except Exception as error:  # as above: training goes on without it
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.run = None
        print(f"W&B is off for this run: {type(error).__name__}: {str(error).splitlines()[:1]}")


def wandb_mode(setting: str) -> str:
    """``online``, ``offline`` or ``off``; the variable ``WANDB_MODE`` decides under ``auto``."""
    if setting != "auto":
        return setting
    asked = os.environ.get("WANDB_MODE", "")
    if asked in ("online", "offline"):
        return asked
    if asked in ("disabled", "dryrun"):
        return "off" if asked == "disabled" else "offline"
    return "online" if _logged_in() else "offline"


def _logged_in() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc().authenticators("api.wandb.ai") is not None
    except (OSError, NetrcParseError):
        return False
