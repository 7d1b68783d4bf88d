"""Weights & Biases: one run per fold, one for the cross-validation. It never stops a training."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Any

import pandas as pd

from auxfold.config.experiment import Experiment


class Tracker:
    """One W&B run: its project the competition, its group the experiment.

    Does nothing when tracking is off or W&B fails. Every fold has a run of its own.

    Args:
        experiment: its ``[tracking]`` section decides the mode; ``auto`` is online where there is
            a login, else offline.
        job: ``train``, ``evaluate`` or ``inference``.
        name: of the run, behind the experiment's name: ``fold0``, ``cv``, ``inference``.
        folder: where offline records go.
        run_id: the run to continue (a resumed training); None for a new one.
        active: false on all processes but the first.
        extra: what stands in the run's configuration beside the experiment.
    """

    def __init__(
        self,
        experiment: Experiment,
        job: str,
        name: str,
        folder: Path,
        *,
        run_id: str | None = None,
        active: bool = True,
        extra: dict[str, Any] | None = None,
    ) -> None:
        self.run: Any = None
        mode = wandb_mode(experiment.tracking.wandb)
        if mode == "off" or not active:
            return
        try:
            import wandb

            folder.mkdir(parents=True, exist_ok=True)
            self.run = wandb.init(
                project=project_of(experiment),
                group=experiment.name,
                name=f"{experiment.name}-{name}",
                job_type=job,
                id=run_id,
                resume="allow" if run_id else None,
                # The default gives a second run in one process the first one's.
                reinit="finish_previous",
                config={**_config(experiment), **(extra or {})},
                dir=str(folder.resolve()),  # its server may run in another directory
                mode=mode,
                settings=wandb.Settings(silent=True),
            )
            # Curves over training rows: comparable between batch sizes.
            self.run.define_metric("rows")
            self.run.define_metric("*", step_metric="rows")
        except Exception as error:  # a network, login or version problem of any kind
            self._fail(error)
            return
        if mode == "offline" and len(list(folder.glob("wandb/offline-run-*"))) == 1:
            _say(f"W&B is offline; to upload all runs: wandb sync {folder}/wandb/offline-run-*")

    @property
    def run_id(self) -> str | None:
        """By which a later process continues this run; None without one."""
        return self.run.id if self.run else None

    def log(self, record: dict[str, Any]) -> None:
        """A point of every curve; None values are left out."""
        told = {name: value for name, value in record.items() if value is not None}
        self._try(lambda: self.run.log(told))

    def summary(self, record: dict[str, Any]) -> None:
        """Final numbers, where W&B's tables of runs show and sort them."""
        told = {name: value for name, value in record.items() if value is not None}
        self._try(lambda: self.run.summary.update(told))

    def table(self, name: str, frame: pd.DataFrame) -> None:
        """A table to look at and filter; a few hundred rows, not the out-of-fold file."""

        def log() -> None:
            import wandb

            self.run.log({name: wandb.Table(dataframe=frame)})

        self._try(log)

    def page(self, name: str, path: Path) -> None:
        """An HTML page, shown in the run."""

        def log() -> None:
            import wandb

            self.run.log({name: wandb.Html(path.read_text(encoding="utf-8"), inject=False)})

        self._try(log)

    def artifact(self, name: str, kind: str, *paths: Path) -> None:
        """Files kept under a versioned name; a folder with everything in it."""

        def log() -> None:
            import wandb

            made = wandb.Artifact(name, type=kind)
            for path in paths:
                if path.is_dir():
                    made.add_dir(str(path))
                else:
                    made.add_file(str(path))
            self.run.log_artifact(made)

        self._try(log)

    def finish(self, failed: bool = False) -> None:
        """End the run; W&B marks it as failed or finished."""
        self._try(lambda: self.run.finish(exit_code=int(failed)))
        self.run = None

    def _try(self, call: Callable[[], object]) -> None:
        if self.run is None:
            return
        try:
            call()
        except Exception as error:  # as above: training goes on without it
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.run = None
        reason = " ".join(str(error).split())[:200]
        _say(f"W&B is off for this run: {type(error).__name__}: {reason}")


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # what a command answers stands on stdout, alone


def project_of(experiment: Experiment) -> str:
    """The project asked for, else the competition: the folder in ``input/`` with its files."""
    return (
        experiment.tracking.project
        or Path(experiment.data.sources[0].path).parent.name
        or "auxfold"
    )


def _config(experiment: Experiment) -> dict[str, Any]:
    """The experiment without lists of sections: ``tasks.<name>.weight`` can be filtered by."""
    told = experiment.model_dump(mode="json", exclude={"tracking"})
    told["tasks"] = {task.pop("name"): task for task in told["tasks"]}
    if not isinstance(experiment.data.train, str):
        pairs = zip(experiment.data.source_names, told["data"]["train"], strict=True)
        told["data"]["train"] = dict(pairs)
    return told


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
