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

from auxfold.config import consistency
from auxfold.config.data import Data
from auxfold.config.folds import Folds
from auxfold.config.identities import Identities
from auxfold.config.inference import Inference
from auxfold.config.model import Model
from auxfold.config.overrides import apply_override, refuse_renamed
from auxfold.config.sample_weights import SampleWeights
from auxfold.config.schema_errors import explain
from auxfold.config.section import Name, Section, Seed
from auxfold.config.task_weighting import TaskWeightingSettings
from auxfold.config.tasks import AnyTask, tasks_from_group_sizes
from auxfold.config.toml_text import toml_text
from auxfold.config.tracking import Tracking
from auxfold.config.training import Selection, Train
from auxfold.config.trust import is_in_run_folder
from auxfold.errors import InputError


class Experiment(Section):
    """One experiment file."""

    name: Name = Field(
        description="The name of the experiment. Its results are in `outputs/<name>/`."
    )
    seed: Seed = Field(42, description="The seed of all random choices.")
    data: Data = Field(description="Where the rows are and what their columns are called.")
    folds: Folds = Field(Folds(), description="How rows are divided for cross-validation.")
    identities: Identities = Field(
        Identities(),
        description="The columns by which the main task's unintended bias is measured.",
    )
    sample_weights: SampleWeights = Field(
        SampleWeights(),
        description="How much a row counts in the main task's loss, and in no other task's. "
        "`data.sample_weight` (every task) and `row_weight` of a task multiply with it.",
    )
    model: Model = Field(
        Model(),
        description="The backbone, and how its hidden states become one vector per row.",
    )
    tasks: Annotated[list[AnyTask], Field(min_length=1)] = Field(
        description="The tasks: a head, its label columns and its weight in the loss each."
    )
    train: Train = Field(Train(), description="How one fold is trained.")
    task_weighting: TaskWeightingSettings = Field(
        TaskWeightingSettings(), description="How the tasks' weights adapt in training."
    )
    selection: Selection = Field(
        Selection(), description="Which weights of a fold are kept, and when training stops early."
    )
    inference: Inference = Field(
        Inference(), description="How the folds' models become one prediction."
    )
    tracking: Tracking = Field(Tracking(), description="What is logged to Weights & Biases.")

    @model_validator(mode="after")
    def _sections_fit_together(self) -> Experiment:
        consistency.check_tasks(self.data, self.model, self.tasks)
        consistency.check_sources(self.data, self.folds, self.train)
        consistency.check_from_test(self.data, self.tasks)
        consistency.check_evaluations(self.train, self.selection)
        if self.inference.average == "soup":
            consistency.check_soup(self.model)
        consistency.check_group_sizes(self.data, self.tasks)
        consistency.check_negative_sampling(self.train, self.tasks)
        consistency.check_identities(
            self.identities, self.sample_weights, self.tasks, self.main_task, self.selection
        )
        return self

    @property
    def main_task(self) -> AnyTask:
        """The task that is predicted at inference."""
        return next((task for task in self.tasks if task.main), self.tasks[0])

    @property
    def label_columns(self) -> list[str]:
        """The columns of ``Table.labels``, task by task."""
        return [column for task in self.tasks for column in task.label_columns]

    @property
    def file_columns(self) -> list[str]:
        """The columns of the files that labels are read from, task by task."""
        return [column for task in self.tasks for column in task.file_columns]

    @property
    def training_paths(self) -> list[str]:
        """The files with rows to train on and to validate on, each of them once."""
        paths = [source.path for source in self.data.sources]
        if self.data.from_test:
            paths.append(str(self.data.test))
        return list(dict.fromkeys([*paths, *filter(None, [self.folds.validation_file])]))

    @property
    def names_code(self) -> bool:
        """Whether the experiment names Python code that auxfold would run."""
        return bool(self.data.code or self.model.code)

    @property
    def stored_in(self) -> Path | None:
        """The file of a run because of which named code may not run; None: it may."""
        return self.data.stored_in or self.model.stored_in

    def with_origin(self, stored_in: Path | None) -> Experiment:
        """The same experiment, read from a file of a run, or for None one's own."""
        data, model = (section.with_origin(stored_in) for section in (self.data, self.model))
        return self.model_copy(update={"data": data, "model": model})

    def fingerprint(self) -> str:
        """:meth:`training_content` as 16 hexadecimal digits."""
        content = json.dumps(self.training_content(), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def training_content(self) -> dict[str, Any]:
        """What must be equal for fold models to belong together, section by section.

        It has all keys but paths, how files are read (the rows have a fingerprint themselves),
        tracking, and what changes memory and safety but not the trained model. Of
        ``[[data.train]]`` the names and the renamed columns count.
        """
        content = self.model_dump(
            mode="json",
            exclude={
                "tracking": True,
                "inference": True,
                "data": {
                    "train",
                    "test",
                    "sample_submission",
                    "test_labels",
                    "encoding",
                    "separator",
                    "max_unpacked_gb",
                },
                "train": {"max_tokens_per_batch", "gradient_checkpointing", "checkpoint_minutes"},
                "task_weighting": {"log_every"},
            },
        )
        if self.folds.validation_file:
            content["folds"]["validation"] = "a file"
        if not isinstance(self.data.train, str):
            renames = [source.rename for source in self.data.sources]
            content["data"]["train"] = [
                [name, rename] for name, rename in zip(self.data.source_names, renames, strict=True)
            ]
        return content


def load_experiment(
    path: str | Path, overrides: list[str] | None = None, trust_reader: bool | None = None
) -> Experiment:
    """Read an experiment file and apply ``key.path=value`` overrides.

    Args:
        path: the file.
        overrides: as of ``--set``.
        trust_reader: whether the code that the experiment names may run (``data.reader`` and
            ``model.trust_remote_code``). None: unless the file is in a run folder.

    Raises:
        InputError: no such file, broken TOML, an unknown or renamed key, a wrong type or a value
            out of range.
    """
    path = Path(path)
    if not path.is_file():
        shipped = ", ".join(sorted(str(p) for p in Path("configs").glob("*.toml")))
        raise InputError(f"no experiment file {path}; shipped ones: {shipped or 'none here'}")
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid TOML: {error}") from None
    raw = _with_group_tasks(raw)
    for override in overrides or []:
        apply_override(raw, override)
    experiment = experiment_from_dict(raw, str(path))
    if trust_reader is None:
        trust_reader = not (experiment.names_code and is_in_run_folder(path))
    return experiment.with_origin(None if trust_reader else path)


def experiment_from_dict(raw: dict[str, Any], where: str) -> Experiment:
    """Check a plain dictionary against the schema; ``where`` names it in errors.

    Raises:
        InputError: an unknown or renamed key, a wrong type or a value out of range.
    """
    refuse_renamed(raw, where)
    try:
        # Through JSON, so that TOML's integers are accepted for floats even under strict types.
        # Dates, which JSON lacks, become strings: a string is what was meant.
        raw = _with_group_tasks(raw)
        return Experiment.model_validate_json(json.dumps(raw, default=str))
    except ValidationError as error:
        raise InputError(f"{where}: {explain(error, Experiment)}") from None


def _with_group_tasks(raw: dict[str, Any]) -> dict[str, Any]:
    """Add the tasks of ``data.group_sizes``, and numbered rows, unless the file has its own."""
    tasks = tasks_from_group_sizes(raw.get("data"))
    if not tasks:
        return raw
    return {"tasks": tasks, **raw, "data": {"id": "", **raw["data"]}}


def to_toml(experiment: Experiment) -> str:
    """The resolved experiment as TOML that :func:`load_experiment` reads back to an equal one."""
    return toml_text(experiment.model_dump(mode="json", exclude_none=True))
