"""The experiment file: read, checked against its schema, overridden, and written back.

An unknown key, a wrong type or a value out of range is an :class:`InputError` that names the
key. ``--set key.path=value`` goes through the same schema.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator

from auxfold.errors import InputError, nearest
from auxfold.settings import (
    AnyTask,
    Balance,
    Data,
    Folds,
    Inference,
    Model,
    Name,
    Section,
    Seed,
    Selection,
    TaskSettings,
    Tracking,
    Train,
)


class Experiment(Section):
    """One experiment file."""

    name: Name  # outputs/<name>/
    seed: Seed = 42
    data: Data
    folds: Folds = Folds()
    model: Model = Model()
    tasks: Annotated[list[AnyTask], Field(min_length=1)]
    train: Train = Train()
    balance: Balance = Balance()
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
        if self.model.both_orders and len(self.data.text_columns) != 2:
            raise ValueError("model.both_orders is for text pairs; data.text names one column")
        mains = [task.name for task in self.tasks if task.main]
        if len(mains) != 1 and len(self.tasks) > 1:
            raise ValueError(f"exactly one task needs main = true, found {len(mains)}")
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

        All but paths, tracking, and what changes memory and safety but not the trained model.
        """
        told = self.model_dump(
            mode="json",
            exclude={
                "tracking": True,
                "inference": True,
                "data": {"train", "test", "sample_submission", "test_labels"},
                "train": {"max_tokens_per_batch", "checkpoint_minutes"},
                "balance": {"log_every"},
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
    key = ".".join(str(part) for part in _without_kinds(first["loc"]))
    if first["type"] == "union_tag_not_found":
        return f"{key}: 'kind' is missing; one of {', '.join(_kinds())}"
    if first["type"] == "union_tag_invalid":
        given = first["input"]["kind"]
        kinds = ", ".join(_kinds())
        return f"{key}.kind = {given!r}{nearest(str(given), _kinds())}; one of {kinds}"
    if first["type"] == "extra_forbidden":
        return f"unknown key {key!r}{nearest(str(first['loc'][-1]), _keys_beside(first['loc']))}"
    if first["type"] == "missing":
        return f"{key!r} is missing"
    message = first["msg"].removeprefix("Value error, ")
    if not key or isinstance(first["input"], dict):
        return f"{key}: {message}" if key else message
    return f"{key} = {first['input']!r}: {message}"


def _kinds() -> dict[str, type[TaskSettings]]:
    """The kinds of task with their settings, read off the schema."""
    return {
        get_args(settings.model_fields["kind"].annotation)[0]: settings
        for settings in get_args(get_args(AnyTask)[0])
    }


def _without_kinds(location: tuple[int | str, ...]) -> list[int | str]:
    """The place of an error as its author wrote it: pydantic names the kind behind a number."""
    pairs = zip(location, (None, *location), strict=False)
    return [p for p, before in pairs if not (isinstance(before, int) and p in _kinds())]


def _keys_beside(location: tuple[int | str, ...]) -> list[str]:
    """The keys that the schema knows in the section of ``location``."""
    section: type[BaseModel] = Experiment
    for part in location[:-1]:
        if section not in _kinds().values() and part in _kinds():
            section = _kinds()[part]
        elif isinstance(part, str):
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
