"""What pydantic found wrong in an experiment file, in one line for its author."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from auxfold.config.data import TAGS
from auxfold.errors import nearest


def explain(error: ValidationError, root: type[BaseModel]) -> str:
    """The first problem in words: the dotted key, what was given, what is expected."""
    first = error.errors()[0]
    path, sections = _locate(first["loc"], root)
    key = ".".join(map(str, path))
    kinds = [kind for section in sections for kind in kinds_of(section)]
    if first["type"] == "union_tag_not_found":
        return f"{key}: 'kind' is missing; one of {', '.join(kinds)}"
    if first["type"] == "union_tag_invalid":
        kind = first["input"]["kind"]
        return f"{key}.kind = {kind!r}{nearest(str(kind), kinds)}; one of {', '.join(kinds)}"
    if first["type"] == "extra_forbidden":
        known = _locate(first["loc"][:-1], root)[1][0].model_fields
        return f"unknown key {key!r}{nearest(str(first['loc'][-1]), known)}"
    if first["type"] == "missing":
        return f"{key!r} is missing"
    message = first["msg"].removeprefix("Value error, ")
    if not key or isinstance(first["input"], dict):
        return f"{key}: {message}" if key else message
    return f"{key} = {first['input']!r}: {message}"


def _locate(
    location: tuple[int | str, ...], root: type[BaseModel]
) -> tuple[list[int | str], list[type[BaseModel]]]:
    """The path of an error as its author wrote it, and the sections that it can be in.

    Pydantic names the kind of a section as if it were a key: such names are left out.
    """
    path: list[int | str] = []
    sections: list[type[BaseModel]] = [root]
    for part in location:
        if part in TAGS and path[-1:] == ["train"]:
            continue  # so it names the two forms of data.train
        of_kind = [section for section in sections if part in kinds_of(section)]
        if len(sections) > 1 and of_kind:
            sections = of_kind
            continue
        path.append(part)
        if isinstance(part, str):
            field = sections[0].model_fields.get(part) if sections else None
            sections = sections_in(field.annotation) if field else []
    return path, sections


def kinds_of(section: type[BaseModel]) -> tuple[str, ...]:
    """The kinds that a section describes; none where it has no ``kind``."""
    field = section.model_fields.get("kind")
    return get_args(field.annotation) if field else ()


def sections_in(annotation: Any) -> list[type[BaseModel]]:
    """The sections that a field holds: one, a list of one, or one per kind."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for part in get_args(annotation) for section in sections_in(part)]
