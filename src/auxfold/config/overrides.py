"""``--set key.path=value``: one key of an experiment file, replaced before the file is checked."""

from __future__ import annotations

import tomllib
from typing import Any

from auxfold.config.renamed import describe_renamed
from auxfold.errors import InputError


def apply_override(raw: dict[str, Any], override: str) -> None:
    """Set one dotted key in place; tasks and sources are addressed by name or number.

    Args:
        raw: the experiment as it was read, not yet checked.
        override: ``"train.epochs=3"``, ``"tasks.toxicity.weight=0.5"``. The value is TOML where it
            reads as TOML, else a string.

    Raises:
        InputError: not of that form, nothing there to set, or a key that was renamed.
    """
    key, equals, text = override.partition("=")
    key = key.strip()
    if not equals or not key:
        raise InputError(f"--set takes KEY=VALUE, got {override!r}")
    value = _parse_value(text.strip())
    *parents, last = key.split(".")
    refuse_renamed(_nest([*parents, last], value), f"--set {key}")
    section: Any = raw
    for part in parents:
        section = _step_into(section, part, key)
    if not isinstance(section, dict):
        raise InputError(f"--set {key}: {'.'.join(parents)} is not a section")
    section[last] = value


def refuse_renamed(raw: dict[str, Any], where: str) -> None:
    """Refuse an experiment with keys or values of an earlier version, in one line.

    Raises:
        InputError: with the new names.
    """
    line = describe_renamed(raw)
    if line:
        raise InputError(f"{where}: {line}")


def _nest(parts: list[str], value: Any) -> dict[str, Any]:
    """``{"train": {"epochs": 3}}`` of ``["train", "epochs"]`` and 3."""
    for part in reversed(parts):
        value = {part: value}
    return value


def _step_into(section: Any, part: str, key: str) -> Any:
    if isinstance(section, dict):
        return section.setdefault(part, {})
    if isinstance(section, list):
        for index, item in enumerate(section):
            if part == str(index) or (isinstance(item, dict) and item.get("name") == part):
                return item
    raise InputError(f"--set {key}: there is no {part!r} to set")


def _parse_value(text: str) -> Any:
    """TOML where it reads as TOML (numbers, booleans, lists), else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
