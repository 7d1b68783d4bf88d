"""The ``[[tasks]]`` of a proposed experiment file."""

from __future__ import annotations

import re

from torch import nn

from auxfold.config.toml_text import toml_value
from auxfold.quickstart.column import ColumnProfile
from auxfold.quickstart.label_groups import LabelGroup
from auxfold.quickstart.profile import TableProfile

N_SPLITS = 5
RESERVED = {"bias"}  # as metrics of identities are called


def task_names(profile: TableProfile) -> dict[str, str]:
    """A name for every task, by the first of its columns."""
    names: dict[str, str] = {}
    groups = [profile.main, *profile.auxiliary, *profile.others]
    for number, group in enumerate(groups, start=1):
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", group.name).strip("_-")
        name = name or ("main" if number == 1 else f"task_{number}")
        if hasattr(nn.ModuleDict(), name) or name in RESERVED:
            name = f"{name}_task"
        while name in names.values():
            name += "_more"
        names[group.columns[0].name] = name
    return names


def task_lines(profile: TableProfile) -> list[str]:
    """All tasks, the possible ones as comments."""
    names = task_names(profile)
    has_more = bool(profile.auxiliary or profile.others)
    lines = _lines_of(profile.main, names, ["main = true"] if has_more else [])
    weight = "weight = 0.5  # of this task's loss; the main task's loss has weight 1"
    for group in profile.auxiliary:
        lines += _lines_of(group, names, [weight])
    for group in profile.others:
        lines += ["", "# This could be an auxiliary task:"]
        lines += [f"# {line}" for line in _lines_of(group, names, ["weight = 0.5"])[1:]]
    return lines


def _lines_of(group: LabelGroup, names: dict[str, str], settings: list[str]) -> list[str]:
    columns, kind = group.columns, group.kind
    name = names[columns[0].name]
    lines = ["", "[[tasks]]", f"name = {toml_value(name)}", f"kind = {toml_value(kind)}"]
    if len(columns) == 1:
        comment = columns[0].describe(kind)
        lines.append(f"columns = {toml_value(group.column_names)}  # {comment}")
    else:
        lines.append("columns = [")
        lines += [f"    {toml_value(c.name)},  # {c.describe(group.column_kind)}" for c in columns]
        lines.append("]")
    return [*lines, *_label_lines(group), *group.settings, *settings]


def _label_lines(group: LabelGroup) -> list[str]:
    """The keys that say how the labels are written."""
    column, lines = group.columns[0], []
    if group.kind in ("multiclass", "ordinal") and len(group.columns) == 1:
        order = "  # the lowest first" if group.kind == "ordinal" else ""
        lines.append(f"classes = {toml_value(column.classes())}{order}")
    elif group.kind == "binary" and not column.is_recognized_pair:
        others = [word for word in column.classes() if word != column.positive()]
        lines.append(f"positive = {toml_value(column.positive())}  # {others[0]} is 0")
    elif group.kind == "tags":
        lines += _tag_lines(column)
    unlabeled = dict.fromkeys(value for c in group.columns for value in c.unlabeled)
    if unlabeled:
        lines.append(f"na_values = {toml_value(list(unlabeled))}  # read as not labeled")
    return lines


def _tag_lines(column: ColumnProfile) -> list[str]:
    assert column.tag_format is not None, "the kind is tags"
    lines = []
    if column.tag_format.cell_format == "separated":
        lines.append(f"separator = {toml_value(column.tag_format.separator)}")
    rare = [tag for tag, count in column.tag_counts.items() if count < N_SPLITS]
    if rare and len(column.tag_counts) - len(rare) >= 2:
        tags = f"{len(rare)} rarer tags are" if len(rare) > 1 else "1 rarer tag is"
        lines.append(f"min_count = {N_SPLITS}  # {tags} left out")
    if column.missing:
        lines.append('# empty = "no_tags"  # if an empty cell means that a row has none of them')
    return lines
