"""What differs between two experiments, key by key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from auxfold.config.experiment import Experiment
from auxfold.config.toml_text import toml_value

MAX_SHOWN = 4  # differences in a message
MAX_VALUE = 60  # characters of a value in a message


def describe_differences(
    stored: Experiment,
    current: Experiment,
    verb: str = "you gave",
    counts: Callable[[str], bool] | None = None,
) -> str | None:
    """``folds.n_splits = 2, you gave 5; train.epochs = 1, you gave 2``; None where nothing differs.

    Only keys that change the trained model count. Both experiments have today's keys: one that did
    not exist when the stored experiment was written has its default there.

    Args:
        stored: named first.
        current: named second.
        verb: what introduces the second value.
        counts: whether a key such as ``tasks.tone.classes`` is compared; None: every key is.
    """
    before, now = _flatten(stored.training_content()), _flatten(current.training_content())
    lines = []
    for key in {**before, **now}:
        value, other = before.get(key), now.get(key)
        if value != other and (counts is None or counts(key)):
            lines.append(f"{key} = {_format(value)}, {verb} {_format_change(value, other)}")
    if len(lines) > MAX_SHOWN:
        lines[MAX_SHOWN:] = [f"and {len(lines) - MAX_SHOWN} more keys"]
    return "; ".join(lines) or None


def _flatten(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """``section.key`` to value, without the keys that are not set; tasks go by their name."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if key == "tasks":
            value = {task["name"]: task for task in value}
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        elif value is not None:
            flat[f"{prefix}{key}"] = value
    return flat


def _format_change(before: Any, now: Any) -> str:
    """The second value, or of long lists what is missing or new in it, which would be cut off."""
    are_lists = isinstance(before, list) and isinstance(now, list)
    if not are_lists or max(len(toml_value(before)), len(toml_value(now))) <= MAX_VALUE:
        return _format(now)
    parts = [
        f"{word} {_format(values)}"
        for word, values in (
            ("without", [value for value in before if value not in now]),
            ("with", [value for value in now if value not in before]),
        )
        if values
    ]
    return f"it {' and '.join(parts)}" if parts else "the same in another order"


def _format(value: Any) -> str:
    if value is None:
        return "nothing"
    text = toml_value(value)
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…"
