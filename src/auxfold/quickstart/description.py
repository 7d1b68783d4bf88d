"""A profiled table for a person to read."""

from __future__ import annotations

from auxfold.quickstart.profile import TableProfile


def describe_profile(profile: TableProfile) -> str:
    """The number of rows, and every column with its role, a line each."""
    roles = [(name, "text") for name in profile.texts]
    roles += [(profile.id, "id")] if profile.id else []
    roles += [(c.name, f"main, {c.kind()}: {c.describe()}") for c in profile.main]
    for group, columns in profile.groups.items():
        roles += [(c.name, f"auxiliary ({group}), {c.kind()}: {c.describe()}") for c in columns]
    roles += [(c.name, f"possible task, {c.kind()}: {c.describe()}") for c in profile.others]
    roles += [(name, "possible group") for name in profile.repeated]
    roles += [(name, f"not used: {reason}") for name, reason in profile.unused.items()]
    width = max(len(name) for name, _ in roles)
    lines = [f"  {name:{width}}  {role}" for name, role in roles]
    return "\n".join([f"{profile.rows:,} rows", *lines])
