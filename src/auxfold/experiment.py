"""The experiment file, typed: every key with its default, unit and meaning.

An unknown key, a wrong type or a value out of range is an :class:`InputError` that names the
key. ``--set key.path=value`` goes through the same schema.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from auxfold.errors import InputError, nearest

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
PositiveInt = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """Base of all sections: unknown keys and silent casts are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Data(Section):
    """``[data]``: where the rows are and what their columns are called."""

    train: str  # csv, tsv, parquet or jsonl (.gz, .zip)
    test: str | None = None
    sample_submission: str | None = None
    id: str = "id"
    text: str | list[str] = "text"  # two names: a text pair
    group: str | None = None  # rows with an equal value stay in one fold
    row_weight: str | None = None  # a column of weights >= 0, for every task

    @property
    def text_columns(self) -> list[str]:
        """The one or two text columns."""
        return [self.text] if isinstance(self.text, str) else list(self.text)

    @model_validator(mode="after")
    def _one_or_two_texts(self) -> Data:
        if not 1 <= len(self.text_columns) <= 2:
            raise ValueError("text takes one column name or a list of two (a pair)")
        return self


class Folds(Section):
    """``[folds]``: how rows are divided for cross-validation."""

    n_splits: Annotated[int, Field(ge=2)] = 5
    seed: Seed | None = None  # empty: the experiment's seed
    group_duplicates: bool = True  # equal texts (case, space, punctuation apart) share a fold


class Model(Section):
    """``[model]``: the backbone and how its hidden states become one vector per row."""

    backbone: str = "embedded"  # hub name, local folder, or "embedded" (all-MiniLM-L6-v2)
    max_length: Annotated[int, Field(ge=4)] = 220  # tokens, special tokens included
    truncation: Literal["head", "head_tail"] = "head"
    head_share: Share = 0.6  # share of the tokens kept from the start under "head_tail"
    pooling: Literal["mean", "cls", "attention"] = "mean"
    hidden_dropout: Share | None = None  # empty: as the backbone was published
    attention_dropout: Share | None = None
    head_dropout: Share = 0.1
    attention: Literal["auto", "eager", "sdpa"] = "auto"  # auto: the faster one for the device
    trust_remote_code: bool = False


class Task(Section):
    """``[[tasks]]``: one head, its columns and its weight in the objective."""

    name: Name
    kind: Literal["binary"]
    columns: Annotated[list[str], Field(min_length=1)]
    main: bool = False
    weight: Annotated[float, Field(ge=0.0)] = 1.0
    column_weights: list[Annotated[float, Field(ge=0.0)]] | None = None
    reduction: Literal["mean", "sum"] = "mean"  # over columns; "sum": each counts in full
    row_weight: str | None = None  # a column of weights >= 0, for this task only
    normalize_row_weights: bool = False  # divide by the sum of weights instead of the cell count

    @model_validator(mode="after")
    def _columns_and_weights(self) -> Task:
        if len(set(self.columns)) != len(self.columns):
            raise ValueError("columns holds a name twice")
        if self.column_weights is not None and len(self.column_weights) != len(self.columns):
            raise ValueError(
                f"column_weights has {len(self.column_weights)} numbers for "
                f"{len(self.columns)} columns"
            )
        return self


class Train(Section):
    """``[train]``: how one fold is trained."""

    epochs: PositiveInt = 2
    batch_size: PositiveInt = 32  # rows per optimizer step, over all processes
    max_tokens_per_batch: PositiveInt = 8192  # padded tokens of one forward pass
    learning_rate: Annotated[float, Field(gt=0.0)] = 2e-5
    head_learning_rate: Annotated[float, Field(gt=0.0)] | None = None  # empty: learning_rate
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.01
    warmup: Share = 0.05  # share of all steps
    schedule: Literal["linear", "cosine"] = "linear"
    max_grad_norm: Annotated[float, Field(ge=0.0)] = 1.0  # 0: no clipping
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    window: PositiveInt = 50  # optimizer steps' worth of shuffled rows that are sorted by length
    evaluations_per_epoch: PositiveInt = 1
    checkpoint_minutes: Annotated[float, Field(gt=0.0)] = 10.0  # how much work a crash can cost
    head_bias_from_rate: bool = True  # start each head's bias at the logit of the label's rate


class Selection(Section):
    """``[selection]``: which checkpoint of a fold is kept."""

    metric: str | None = None  # "<task>/<metric>"; empty: the main task's first metric
    early_stopping: Annotated[int, Field(ge=0)] = 0  # evaluations without improvement; 0: off


class Inference(Section):
    """``[inference]``: how fold models become one prediction."""

    average: Literal["probability", "logit"] = "probability"
    max_tokens_per_batch: PositiveInt = 16384


class Tracking(Section):
    """``[tracking]``: Weights & Biases."""

    wandb: Literal["auto", "online", "offline", "off"] = "auto"
    project: str | None = None  # empty: the folder of data.train, which is the competition's
    log_every: PositiveInt = 20  # optimizer steps per point of the training curves
    upload_model: bool = False  # the fold's model as an artifact; the OOF and folds files always


class Experiment(Section):
    """One experiment file."""

    name: Name  # outputs/<name>/
    seed: Seed = 42
    data: Data
    folds: Folds = Folds()
    model: Model = Model()
    tasks: Annotated[list[Task], Field(min_length=1)]
    train: Train = Train()
    selection: Selection = Selection()
    inference: Inference = Inference()
    tracking: Tracking = Tracking()

    @model_validator(mode="after")
    def _tasks_fit_together(self) -> Experiment:
        names = [task.name for task in self.tasks]
        if len(set(names)) != len(names):
            raise ValueError("two tasks have the same name")
        columns = [column for task in self.tasks for column in task.columns]
        twice = sorted({c for c in columns if columns.count(c) > 1})
        if twice:
            raise ValueError(f"column {twice[0]!r} is predicted by two tasks")
        mains = [task.name for task in self.tasks if task.main]
        if len(mains) != 1 and len(self.tasks) > 1:
            raise ValueError(f"exactly one task needs main = true, found {len(mains)}")
        return self

    @property
    def main_task(self) -> Task:
        """The task that speaks at inference."""
        return next((task for task in self.tasks if task.main), self.tasks[0])

    @property
    def label_columns(self) -> list[str]:
        """All label columns, task by task."""
        return [column for task in self.tasks for column in task.columns]

    def fingerprint(self) -> str:
        """What must be equal for fold models to belong together.

        All but paths, tracking, and what changes memory and safety but not the trained model.
        """
        told = self.model_dump(
            mode="json",
            exclude={
                "tracking": True,
                "inference": True,
                "data": {"train", "test", "sample_submission"},
                "train": {"max_tokens_per_batch", "checkpoint_minutes"},
            },
        )
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
    for override in overrides or []:
        _apply_override(raw, override)
    return experiment_from_dict(raw, str(path))


def experiment_from_dict(raw: dict[str, Any], where: str) -> Experiment:
    """Check a plain dictionary against the schema; ``where`` names it in errors."""
    try:
        # Through JSON, so that TOML's integers are accepted for floats even under strict types.
        # (Dates, which JSON lacks, become strings: what is meant where one stands.)
        return Experiment.model_validate_json(json.dumps(raw, default=str))
    except ValidationError as error:
        raise InputError(f"{where}: {_explain(error)}") from None


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


def _explain(error: ValidationError) -> str:
    """The first problem in words: the dotted key, what was given, what is expected."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown key {key!r}{nearest(str(first['loc'][-1]), _keys_beside(first['loc']))}"
    if first["type"] == "missing":
        return f"{key!r} is missing"
    message = first["msg"].removeprefix("Value error, ")
    if not key or isinstance(first["input"], dict):
        return f"{key}: {message}" if key else message
    return f"{key} = {first['input']!r}: {message}"


def _keys_beside(location: tuple[int | str, ...]) -> list[str]:
    """The keys that the schema knows in the section of ``location``."""
    section: type[BaseModel] = Experiment
    for part in location[:-1]:
        if isinstance(part, str):
            section = _section_in(section.model_fields[part].annotation) or section
    return list(section.model_fields)


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds, alone or in a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((s for a in get_args(annotation) if (s := _section_in(a))), None)


def to_toml(experiment: Experiment) -> str:
    """The resolved experiment as TOML that :func:`load_experiment` reads back to an equal one."""
    told = experiment.model_dump(mode="json", exclude_none=True)
    lines = [f"{key} = {_toml_value(told.pop(key))}" for key in ("name", "seed")]
    for section, content in told.items():
        for entry in content if isinstance(content, list) else [content]:
            lines += ["", f"[[{section}]]" if isinstance(content, list) else f"[{section}]"]
            lines += [f"{key} = {_toml_value(value)}" for key, value in entry.items()]
    return "\n".join(lines) + "\n"


def _toml_value(value: Any) -> str:
    # JSON's strings, numbers, booleans and flat lists are TOML's, but for the DEL character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
