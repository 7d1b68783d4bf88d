"""The experiment file: read, checked against its schema, overridden, and written back.

An unknown key, a wrong type or a value out of range is an :class:`InputError` that names the
key. ``--set key.path=value`` goes through the same schema.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from auxfold.config import (
    BIAS,
    BY_IDENTITY,
    AnyTask,
    Data,
    Folds,
    Identities,
    Inference,
    Model,
    Name,
    SampleWeights,
    Section,
    Seed,
    Selection,
    TaskSettings,
    TaskWeightingSettings,
    Tracking,
    Train,
    tasks_of_groups,
)
from auxfold.config.schema_errors import explain
from auxfold.config.toml_text import toml_text
from auxfold.errors import InputError, nearest


class Experiment(Section):
    """One experiment file."""

    name: Name  # outputs/<name>/
    seed: Seed = 42
    data: Data
    folds: Folds = Folds()
    identities: Identities = Identities()
    sample_weights: SampleWeights = SampleWeights()
    model: Model = Model()
    tasks: Annotated[list[AnyTask], Field(min_length=1)]
    train: Train = Train()
    task_weighting: TaskWeightingSettings = TaskWeightingSettings()
    selection: Selection = Selection()
    inference: Inference = Inference()
    tracking: Tracking = Tracking()

    @model_validator(mode="after")
    def _tasks_fit_together(self) -> Experiment:
        names = [task.name for task in self.tasks]
        if len(set(names)) != len(names):
            raise ValueError("two tasks have the same name")
        columns = [c for t in self.tasks for c in {*t.columns, *t.prediction_columns}]
        columns.append(self.data.id_column)
        twice = sorted({c for c in columns if columns.count(c) > 1})
        if twice:
            raise ValueError(f"column {twice[0]!r} is predicted by two tasks, or is the id too")
        if self.model.symmetric_pairs and len(self.data.text_columns) != 2:
            raise ValueError("model.symmetric_pairs is for text pairs; data.text names one column")
        told = {"batches": self.train.batches, "sampling": self.train.sampling}
        for key in [k for k in told if told[k] not in ("mixed", "size")]:
            if len(self.data.sources) == 1:
                raise ValueError(
                    f"train.{key} = {told[key]!r} is for several [[data.train]]; there is one"
                )
        evaluations = self.train.epochs * self.train.evaluations_per_epoch
        if self.selection.keep == "average" and evaluations < 2:
            raise ValueError(
                "selection.keep = 'average' needs two evaluations or more; raise "
                "train.evaluations_per_epoch or train.epochs"
            )
        mains = [task.name for task in self.tasks if task.main]
        if len(mains) != 1 and len(self.tasks) > 1:
            raise ValueError(f"exactly one task needs main = true, found {len(mains)}")
        if isinstance(self.folds.validation, str) and not isinstance(self.data.train, str):
            raise ValueError(
                "folds.validation is a file, which goes with one data.train; of several "
                "[[data.train]] it takes a share or a number of rows"
            )
        return self

    @model_validator(mode="after")
    def _groups_are_tasks(self) -> Experiment:
        sizes = self.data.group_sizes
        made = [len(getattr(task, "class_names", ())) for task in self.tasks]
        if sizes is not None and made != sizes:
            raise ValueError(
                f"data.group_sizes = {sizes}, but the tasks have {made} classes; leave "
                f"[[tasks]] out (they are made from group_sizes), or group_sizes"
            )
        return self

    @model_validator(mode="after")
    def _negatives_where_there_are_any(self) -> Experiment:
        if self.train.negative_sample_rate == 1.0:
            return self
        if "binary" not in (task.kind for task in self.tasks):
            raise ValueError("train.negative_sample_rate < 1 needs a task of kind 'binary'")
        if self.train.sampling != "size":
            raise ValueError(
                f"train.negative_sample_rate < 1 goes with train.sampling = 'size', not with "
                f"{self.train.sampling!r}, which decides how often a row comes in another way"
            )
        return self

    @model_validator(mode="after")
    def _identities_where_needed(self) -> Experiment:
        if self.identities.columns and self.main_task.kind != "binary":
            raise ValueError("identities.columns need a main task of kind 'binary'")
        if self.identities.columns and BIAS in (task.name for task in self.tasks):
            raise ValueError(f"a task is called {BIAS!r} as the metrics of identities.columns are")
        by_identity = [name for name in self.sample_weights.scheme if name in BY_IDENTITY]
        if by_identity and not self.identities.columns:
            raise ValueError(
                f"sample_weights.scheme = {by_identity[0]!r} needs identities.columns, which are empty"
            )
        shaped = [t.name for t in self.tasks if getattr(t, "loss", None) == "metric_shaped"]
        if shaped and not self.identities.columns:
            raise ValueError(
                f"tasks.{shaped[0]}.loss = 'metric_shaped' needs identities.columns, which are "
                f"empty"
            )
        metric, known = self.selection.metric or "", self.identities.metrics
        if metric.startswith(f"{BIAS}/") and not known:
            raise ValueError(
                f"selection.metric = {metric!r} needs identities.columns, which are empty"
            )
        if metric.startswith(f"{BIAS}/") and metric not in known:
            raise ValueError(
                f"selection.metric = {metric!r} is unknown{nearest(metric, known)}; "
                f"known: {', '.join(known[:5])}, and of each identity"
            )
        return self

    @property
    def main_task(self) -> TaskSettings:
        """The task that speaks at inference."""
        return next((task for task in self.tasks if task.main), self.tasks[0])

    @property
    def label_columns(self) -> list[str]:
        """All label columns, task by task."""
        return [column for task in self.tasks for column in task.columns]

    def fingerprint(self) -> str:
        """What must be equal for fold models to belong together.

        All but paths, tracking, and what changes memory and safety but not the trained model. Of
        ``[[data.train]]`` names and renamed columns count.
        """
        told = self.model_dump(
            mode="json",
            exclude={
                "tracking": True,
                "inference": True,
                "data": {"train", "test", "sample_submission", "test_labels"},
                "train": {"max_tokens_per_batch", "checkpoint_minutes"},
                "task_weighting": {"log_every"},
            },
        )
        if isinstance(self.folds.validation, str):
            told["folds"]["validation"] = "a file"
        if not isinstance(self.data.train, str):
            renames = [source.rename for source in self.data.sources]
            told["data"]["train"] = list(zip(self.data.source_names, renames, strict=True))
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def load_experiment(path: str | Path, overrides: list[str] | None = None) -> Experiment:
    """Read an experiment file and apply ``key.path=value`` overrides.

    Raises:
        InputError: no such file, broken TOML, unknown key, wrong type or value out of range.
    """
    path = Path(path)
    if not path.is_file():
        shipped = ", ".join(sorted(str(p) for p in Path("configs").glob("*.toml")))
        raise InputError(f"no experiment file {path}; shipped ones: {shipped or 'none here'}")
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid TOML: {error}") from None
    raw = _with_tasks_of_groups(raw)
    for override in overrides or []:
        _apply_override(raw, override)
    return experiment_from_dict(raw, str(path))


def experiment_from_dict(raw: dict[str, Any], where: str) -> Experiment:
    """Check a plain dictionary against the schema; ``where`` names it in errors."""
    try:
        # Through JSON, so that TOML's integers are accepted for floats even under strict types.
        # (Dates, which JSON lacks, become strings: what is meant where one stands.)
        raw = _with_tasks_of_groups(raw)
        return Experiment.model_validate_json(json.dumps(raw, default=str))
    except ValidationError as error:
        raise InputError(f"{where}: {explain(error, Experiment)}") from None


def _with_tasks_of_groups(raw: dict[str, Any]) -> dict[str, Any]:
    """With the tasks that ``data.group_sizes`` stands for, and rows numbered, if not told else."""
    made = tasks_of_groups(raw.get("data"))
    if not made:
        return raw
    return {"tasks": made, **raw, "data": {"id": "", **raw["data"]}}


def _apply_override(raw: dict[str, Any], override: str) -> None:
    """Set one dotted key; tasks are addressed by name or number (``tasks.toxicity.weight``)."""
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set takes KEY=VALUE, got {override!r}")
    *parents, last = key.strip().split(".")
    place: Any = raw
    for part in parents:
        place = _step_into(place, part, key)
    if not isinstance(place, dict):
        raise InputError(f"--set {key}: {'.'.join(parents)} is not a section")
    place[last] = _parse_value(text.strip())


def _step_into(place: Any, part: str, key: str) -> Any:
    if isinstance(place, dict):
        return place.setdefault(part, {})
    if isinstance(place, list):
        for index, item in enumerate(place):
            if part == str(index) or (isinstance(item, dict) and item.get("name") == part):
                return item
    raise InputError(f"--set {key}: there is no {part!r} to set")


def _parse_value(text: str) -> Any:
    """TOML where it reads as TOML (numbers, booleans, lists), else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def to_toml(experiment: Experiment) -> str:
    """The resolved experiment as TOML that :func:`load_experiment` reads back to an equal one."""
    told = experiment.model_dump(mode="json", exclude_none=True)
    return toml_text(told)
