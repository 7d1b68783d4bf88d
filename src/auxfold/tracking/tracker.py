"""Weights & Biases: one run per fold, and one for the cross-validation.

A failure of W&B never stops a training.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from auxfold.config.experiment import Experiment
from auxfold.storage.provenance import git_commit
from auxfold.tracking.mode import describe_switch, wandb_mode


class Tracker:
    """One W&B run, whose project is the competition and whose group is the experiment.

    It does nothing when tracking is off or W&B fails. Every fold has a run of its own. Callers log
    texts of the data only with ``tracking.texts``.

    Args:
        experiment: its ``[tracking]`` section decides the mode; ``auto`` is online where there is
            a login, else offline.
        job: ``train``, ``evaluate`` or ``inference``.
        name: the name of the run after the experiment's: ``fold0``, ``cv``, ``inference``.
        folder: where offline records go.
        run_id: the run to continue (a resumed training); None for a new one.
        active: false on all processes except the first.
        extra: what the run's configuration has in addition to the experiment.

    Attributes:
        run: the run of the ``wandb`` package; None where nothing is tracked.
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
        if active and (switch := describe_switch(experiment.tracking.wandb)):
            _warn(switch)
        if mode == "off" or not active:
            return
        try:
            import wandb

            folder.mkdir(parents=True, exist_ok=True)
            self.run = wandb.init(
                project=project_name(experiment),
                group=experiment.name,
                name=f"{experiment.name}-{name}",
                job_type=job,
                id=run_id,
                resume="allow" if run_id else None,
                # The default gives a second run in one process the first one's.
                reinit="finish_previous",
                config={**_config(experiment), "git_commit": git_commit(), **(extra or {})},
                dir=str(folder.resolve()),  # its server may run in another directory
                mode=mode,
                settings=wandb.Settings(**_settings(experiment)),
            )
            # Curves over training rows: comparable between batch sizes.
            self.run.define_metric("rows")
            self.run.define_metric("*", step_metric="rows")
        except Exception as error:  # a network, login or version problem of any kind
            self._fail(error)
            return
        if mode == "online":
            _warn(f"W&B: {self.run.url}")
        if mode == "offline" and len(list(folder.glob("wandb/offline-run-*"))) == 1:
            _warn(f"W&B is offline; to upload all runs: wandb sync {folder}/wandb/offline-run-*")

    @property
    def run_id(self) -> str | None:
        """The id by which a later process continues this run; None without a run."""
        return self.run.id if self.run else None

    def log(self, record: dict[str, Any]) -> None:
        """Log a point of every curve; None values are left out."""
        self._try(lambda: self.run.log(_without_none(record)))

    def summary(self, record: dict[str, Any]) -> None:
        """Log final numbers, where W&B's tables of runs show and sort them."""
        self._try(lambda: self.run.summary.update(_without_none(record)))

    def table(self, name: str, frame: pd.DataFrame) -> None:
        """Log a table to look at and filter: a few hundred rows, not the out-of-fold file."""

        def log() -> None:
            import wandb

            self.run.log({name: wandb.Table(dataframe=frame)})

        self._try(log)

    def page(self, name: str, path: Path) -> None:
        """Log an HTML page, which the run shows."""

        def log() -> None:
            import wandb

            self.run.log({name: wandb.Html(path.read_text(encoding="utf-8"), inject=False)})

        self._try(log)

    def artifact(self, name: str, kind: str, *paths: Path) -> None:
        """Store files under a versioned name, a folder with everything in it."""

        def log() -> None:
            import wandb

            artifact = wandb.Artifact(name, type=kind)
            for path in paths:
                if path.is_dir():
                    artifact.add_dir(str(path))
                else:
                    artifact.add_file(str(path))
            self.run.log_artifact(artifact)

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
        except Exception as error:  # as above: the training continues without it
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.run = None
        reason = " ".join(str(error).split())[:200]
        _warn(f"W&B is off for this run: {type(error).__name__}: {reason}")


def _warn(text: str) -> None:
    print(text, file=sys.stderr)  # stdout has only what a command answers


def _settings(experiment: Experiment) -> dict[str, Any]:
    """Settings of a run, under which only what is logged leaves the machine."""
    if experiment.tracking.texts:
        return {"silent": True}
    # Changes since the last commit, or a notebook with its outputs, may hold texts.
    return {"silent": True, "disable_git": True, "save_code": False}


def _without_none(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if value is not None}


def project_name(experiment: Experiment) -> str:
    """The configured project, else the competition: the folder in ``input/`` with its files."""
    return (
        experiment.tracking.project
        or Path(experiment.data.sources[0].path).parent.name
        or "auxfold"
    )


def _config(experiment: Experiment) -> dict[str, Any]:
    """The experiment without lists of sections, so that ``tasks.<name>.weight`` can be filtered."""
    config = experiment.model_dump(mode="json", exclude={"tracking"})
    config["tasks"] = {task.pop("name"): task for task in config["tasks"]}
    if not isinstance(experiment.data.train, str):
        pairs = zip(experiment.data.source_names, config["data"]["train"], strict=True)
        config["data"]["train"] = dict(pairs)
    return config
