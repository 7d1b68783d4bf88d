"""Keys and values of experiment files of earlier versions, and what they are called now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# The old dotted path to the new one; a section is a path without a dot, [[tasks]] is "tasks".
RENAMED_KEYS = {  # since 0.2
    "balance": "task_weighting",
    "balance.memory": "task_weighting.ema_decay",
    "row_weights": "sample_weights",
    "row_weights.mean_one": "sample_weights.scale_to_mean_one",
    "data.row_weight": "data.sample_weight",
    "model.both_orders": "model.symmetric_pairs",
    "model.dropout_samples": "model.multisample_dropout",
    "model.head_share": "model.head_fraction",
    "tasks.column_weights": "tasks.label_weights",
    "tasks.normalize_row_weights": "tasks.divide_by_weight_sum",
    "tasks.positive_weight": "tasks.pos_weight",
    "train.head_bias_from_rate": "train.init_head_bias",
    "train.layer_decay": "train.layerwise_lr_decay",
    "train.negative_share": "train.negative_sample_rate",
    "train.warmup": "train.warmup_ratio",
    "train.window": "train.length_bucket_steps",
}

# The key, by its new name, to its old values and what they are called now.
RENAMED_VALUES = {  # since 0.2
    "tasks.pos_weight": {"rate": "balanced"},
    "train.batches": {"pure": "homogeneous"},
}


def describe_renamed_key(path: str) -> str | None:
    """One line that names the new key, or None where nothing was renamed.

    Args:
        path: a dotted path without the name of a task or of its kind: ``tasks.positive_weight``.
    """
    section, _, key = path.partition(".")
    # A key of a renamed section is also looked for in the new one: half a file was adapted.
    old_sections = [old for old, new in RENAMED_KEYS.items() if new == section]
    candidates = [path, *(f"{old}.{key}" for old in old_sections if key)]
    new = next((RENAMED_KEYS[old] for old in candidates if old in RENAMED_KEYS), None)
    if new is not None and "." in path:
        return f"{path} is now {new}"
    if section in RENAMED_KEYS:
        return f"[{section}] is now [{RENAMED_KEYS[section]}]"
    return None


def describe_renamed(raw: dict[str, Any]) -> str | None:
    """One line with everything in an experiment that is called otherwise now, or None.

    Args:
        raw: the experiment as it was read, not yet checked. Tasks are a list, or a dictionary by
            name (as ``--set tasks.<name>.<key>`` addresses them).
    """
    lines = [line for path, value in _keys(raw) if (line := _describe(path, value))]
    return "; ".join(dict.fromkeys(lines)) or None


def _keys(raw: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The dotted path and value of every section and of every key in one."""
    for section, content in raw.items():
        yield section, content
        by_name = section == "tasks" and isinstance(content, dict)
        tables = list(content.values()) if by_name else content
        for table in tables if isinstance(tables, list) else [tables]:
            for key, value in table.items() if isinstance(table, dict) else ():
                yield f"{section}.{key}", value


def _describe(path: str, value: Any) -> str | None:
    new = RENAMED_KEYS.get(path, path)
    new_value = RENAMED_VALUES.get(new, {}).get(value) if isinstance(value, str) else None
    if new_value is None:
        return describe_renamed_key(path)
    name = "" if new == path else f"{new} = "
    return f'{path} = "{value}" is now {name}"{new_value}"'
