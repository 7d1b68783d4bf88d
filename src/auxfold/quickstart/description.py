"""A profiled table for a person to read."""

from __future__ import annotations

from auxfold.quickstart.label_groups import LabelGroup
from auxfold.quickstart.profile import TableProfile


def describe_profile(profile: TableProfile) -> str:
    """The number of rows, and every column with its role, a line each."""
    roles = [(name, "text") for name in profile.texts]
    roles += [(profile.id, "id")] if profile.id else []
    if profile.split:
        parts = ", ".join(f"{count:,} {part}" for part, count in profile.parts.items())
        roles += [(profile.split, f"split: {parts}")]
    roles += _describe_group(profile.main, "main")
    for group in profile.auxiliary:
        roles += _describe_group(group, f"auxiliary ({group.name})")
    for group in profile.others:
        roles += _describe_group(group, "possible task")
    roles += [(name, "possible group") for name in profile.repeated]
    roles += [(name, f"not used: {reason}") for name, reason in profile.unused.items()]
    width = max(len(name) for name, _ in roles)
    lines = [f"  {name:{width}}  {role}" for name, role in roles]
    return "\n".join([f"{profile.rows:,} rows", *lines])


def _describe_group(group: LabelGroup, role: str) -> list[tuple[str, str]]:
    is_combined = len(group.columns) > 1 and group.kind != "binary"
    kind = f"{group.kind} of {len(group.columns)} columns" if is_combined else group.kind
    return [(c.name, f"{role}, {kind}: {c.describe(group.column_kind)}") for c in group.columns]
