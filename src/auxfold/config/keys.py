"""Every key of the experiment file with its type, default and description, read off the schema."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from auxfold.config.experiment import Experiment
from auxfold.config.schema_errors import kinds_of, sections_in
from auxfold.config.section import NAME, Section
from auxfold.config.toml_text import toml_value


@dataclass(frozen=True)
class Key:
    """One key of a section.

    Attributes:
        section: the dotted path of its section (``"train"``, ``"model.adapter"``); empty at the
            top of the file.
        name: the key.
        type: the values that it takes, in words.
        default: its default as TOML; ``"none"`` where nothing is set, empty where it is required.
        description: what it does, in Markdown.
        kinds: the kinds of tasks or adapters that have it; empty where all have it.
        read_by: what it is read by, where not always (``'loss = "focal"'``).
    """

    section: str
    name: str
    type: str
    default: str
    description: str
    kinds: tuple[str, ...] = ()
    read_by: str = ""

    @property
    def path(self) -> str:
        """The dotted path: ``train.epochs``."""
        return f"{self.section}.{self.name}" if self.section else self.name


@dataclass(frozen=True)
class SectionKeys:
    """One section of the file.

    Attributes:
        path: its dotted path, empty for the top of the file.
        header: how it starts in a file (``"[train]"``, ``"[[tasks]]"``); empty for the top.
        description: what it is for, in Markdown.
        kinds: its kinds, where it has any.
        keys: its keys, in order.
    """

    path: str
    header: str
    description: str
    kinds: tuple[str, ...]
    keys: tuple[Key, ...]


def list_sections() -> list[SectionKeys]:
    """All sections in the order of a file, the top of the file first."""
    top = "The keys at the top of the file, before the first section."
    return _list_sections("", "", top, [Experiment])


def _list_sections(
    path: str, header: str, description: str, models: list[type[Section]]
) -> list[SectionKeys]:
    """A section that has one of several models (one per kind), and the sections within it."""
    keys: dict[Key, list[str]] = {}
    inner = []
    for model in models:
        kinds = kinds_of(model)
        for name, field in model.model_fields.items():
            children = [m for m in sections_in(field.annotation) if issubclass(m, Section)]
            child = f"{path}.{name}" if path else name
            if children:
                child_header = f"[[{child}]]" if _has_list(field.annotation) else f"[{child}]"
                inner += _list_sections(child, child_header, _describe(field, children), children)
            if not children or path:
                keys.setdefault(_key(path, name, model, models), []).extend(kinds)
    every_kind = tuple(kind for model in models for kind in kinds_of(model))
    merged = [
        replace(key, kinds=() if set(kinds) == set(every_kind) else tuple(kinds))
        for key, kinds in keys.items()
    ]
    return [SectionKeys(path, header, description, every_kind, tuple(merged)), *inner]


def _key(path: str, name: str, model: type[Section], models: list[type[Section]]) -> Key:
    schema = _properties(model)[name]
    if name == "kind":  # one key, whose values are those of all models
        schema = {"enum": [kind for m in models for kind in kinds_of(m)]}
    field = model.model_fields[name]
    default = "none" if field.default is None else ""
    if not field.is_required() and field.default is not None:
        default = toml_value(field.get_default(call_default_factory=True))
    description = field.description or ""
    return Key(path, name, describe_type(schema), default, description, (), _read_by(model, name))


def _read_by(model: type[Section], name: str) -> str:
    for choice, keys_by_value in model.READ_BY.items():
        values = [f'"{value}"' for value, keys in keys_by_value.items() if name in keys]
        if values:
            return f"{choice} = {_join(values)}"
    return ""


@cache
def _properties(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema()
    forms = [schema, *schema.get("anyOf", [])]  # a source may be a string or a table
    return next(form["properties"] for form in forms if "properties" in form)


def _describe(field: FieldInfo, models: list[type[Section]]) -> str:
    """The description of a section: its field's, or its own where the field is also a plain key."""
    if len(models) > 1 or models[0].__doc__ is None or not get_args(field.annotation):
        return field.description or ""
    summary = models[0].__doc__.split("\n")[0].partition(": ")[2]
    return summary[:1].upper() + summary[1:]


def _has_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(map(_has_list, get_args(annotation)))


def describe_type(schema: dict[str, Any]) -> str:
    """The values that a JSON schema of one key allows, in words.

    >>> describe_type({"type": "integer", "minimum": 1})
    'integer >= 1'
    """
    forms = schema.get("anyOf") or schema.get("oneOf")
    if forms and "enum" in forms[0] and forms[1:] == [{"type": "array", "items": forms[0]}]:
        return f"{describe_type(forms[0])}, or a list of them"
    if forms:
        names = [describe_type(form) for form in forms if form != {"type": "null"}]
        return _join(list(dict.fromkeys(names)))
    if "$ref" in schema:
        return "table"
    values = schema.get("enum") or [schema[key] for key in ("const",) if key in schema]
    if values:
        return _join([toml_value(value) for value in values])
    if schema["type"] == "array":
        return f"list of {_plural(describe_type(schema['items']))}"
    if schema["type"] == "object":
        return f"table of {_plural(describe_type(schema['additionalProperties']))}"
    if schema.get("pattern") == NAME:
        return "string of letters, digits, _ and -"
    return f"{schema['type']}{_describe_range(schema)}"


def _describe_range(schema: dict[str, Any]) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f" from {schema['minimum']:g} to {schema['maximum']:g}"
    if schema["type"] == "integer" and "exclusiveMaximum" in schema:
        return f" from {schema['minimum']} to {schema['exclusiveMaximum'] - 1}"
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema]
    return f" {' and '.join(bounds)}" if bounds else ""


def _plural(name: str) -> str:
    if name.startswith('"'):
        return name
    words = [part.partition(" ") for part in name.split(" or ")]
    return " or ".join(f"{word}s{space}{rest}" for word, space, rest in words)


def _join(parts: list[str]) -> str:
    *most, last = parts or [""]
    return f"{', '.join(most)} or {last}" if most else last
