"""Which tasks an unknown table has: the main one, auxiliary ones, and possible ones."""

from __future__ import annotations

import re
from dataclasses import dataclass

from auxfold.errors import InputError, nearest
from auxfold.quickstart.column import ColumnProfile
from auxfold.quickstart.label_groups import (
    LabelGroup,
    common_name,
    find_scores,
    find_shares,
    find_votes,
    group_by_prefix,
)
from auxfold.quickstart.names import MAIN_NAMES, matches, name_words
from auxfold.quickstart.sample import Sample

MIN_FLAGS = 3  # binary columns without a main one among them that are one task


@dataclass(frozen=True)
class ProposedTasks:
    """The tasks of a table.

    Attributes:
        main: the main task.
        auxiliary: further tasks of binary columns next to a binary main one.
        others: what could be further tasks.
    """

    main: LabelGroup
    auxiliary: list[LabelGroup]
    others: list[LabelGroup]


def propose_tasks(
    labels: list[ColumnProfile],
    votes: LabelGroup | None,
    main: list[str],
    sample: Sample | None,
    path: str,
) -> ProposedTasks:
    """Divide label columns into tasks.

    Args:
        labels: the columns that can be learned.
        votes: those of them that count the votes for each class, where there are such.
        main: the columns of ``--main``; empty where it was not given.
        sample: the sample submission, where there is one.
        path: named in errors.

    Raises:
        InputError: several columns could be the main one, or a requested one is not among them.
    """
    by_name = {column.name: column for column in labels}
    for name in main:
        if name not in by_name:
            raise InputError(
                f"{path}: --main {name!r} is no column that can be learned{nearest(name, by_name)}"
                f"; those are {', '.join(by_name)}"
            )
    requested = main or (sample.targets(by_name) if sample else [])
    if requested:
        group = _requested_group([by_name[name] for name in requested], votes)
    else:
        group = _choose_main(_divide(labels, votes), path)
    group = _fit_to_sample(group, sample)
    rest = [column for column in labels if column not in group.columns]
    if group.kind != "binary":
        return ProposedTasks(group, [], _divide(rest, votes))
    binary = [column for column in rest if column.kind == "binary" and column.numbers is not None]
    auxiliary = [LabelGroup(k, "binary", c) for k, c in group_by_prefix(binary).items()]
    others = _divide([column for column in rest if column not in binary], votes)
    return ProposedTasks(group, auxiliary, others)


def _divide(labels: list[ColumnProfile], votes: LabelGroup | None) -> list[LabelGroup]:
    """Combined columns first, then every other column as a task of its own."""
    rest, groups = labels, []
    if votes is not None and all(column in labels for column in votes.columns):
        groups.append(votes)
        rest = [column for column in rest if column not in votes.columns]
    for find in (find_shares, find_scores):
        if group := find(rest):
            groups.append(group)
            rest = [column for column in rest if column not in group.columns]
    return [*groups, *(LabelGroup.of_column(column) for column in rest)]


def _requested_group(columns: list[ColumnProfile], votes: LabelGroup | None) -> LabelGroup:
    """The task of columns that were named, by the user or by the sample submission."""
    if len(columns) == 1:
        return LabelGroup.of_column(columns[0])
    name = common_name(columns)
    kinds = {column.kind for column in columns}
    for group in (votes, find_votes(columns), find_shares(columns)):
        if group is not None and {*group.column_names} == {column.name for column in columns}:
            return group
    if kinds == {"binary"}:
        return LabelGroup(name, "binary", columns)
    if all(column.numbers is not None for column in columns):
        return LabelGroup(name, "regression", columns)
    raise InputError(
        f"one task takes columns of one kind, but "
        f"{', '.join(f'{c.name} is {c.kind}' for c in columns)}; name one of them with --main"
    )


def _fit_to_sample(group: LabelGroup, sample: Sample | None) -> LabelGroup:
    """Words are classes where the sample holds words, ratings numbers where it has fractions."""
    column = group.columns[0]
    if sample is None or len(group.columns) > 1:
        return group
    if group.kind == "binary" and column.numbers is None and sample.holds_words(column):
        return LabelGroup.of_column(column, "multiclass")
    if group.kind == "ordinal" and sample.holds_fractions(column):
        return LabelGroup.of_column(column, "regression")
    return group


def _choose_main(groups: list[LabelGroup], path: str) -> LabelGroup:
    best = _rank_by_name(groups)
    if len(best) == 1:
        return best[0]
    flags = [group.columns[0] for group in groups if group.kind == "binary"]
    flags = [column for column in flags if column.numbers is not None]
    are_flags = all(group.kind == "binary" for group in best)
    if are_flags and (len(flags) >= MIN_FLAGS or (len(flags) == len(groups) > 1)):
        by_prefix = group_by_prefix(flags)
        first = max(by_prefix, key=lambda key: (len(by_prefix[key]), key == "labels"))
        return LabelGroup("main" if first == "labels" else first, "binary", by_prefix[first])
    if not best and len(groups) == 1:
        return groups[0]
    raise _tie(best or groups, path)


def _rank_by_name(groups: list[LabelGroup]) -> list[LabelGroup]:
    """The groups whose name says most clearly that they are what matters; all equally clear."""
    for names in MAIN_NAMES:
        whole = [g for g in groups if " ".join(name_words(g.name)) in names]
        partial = [g for g in groups if any(matches(g.name, name) for name in names)]
        partial = [g for g in partial if not g.name.lower().startswith("severe")]
        if whole or partial:
            return whole or partial
    return []


def _tie(groups: list[LabelGroup], path: str) -> InputError:
    names = [group.columns[0].name for group in groups[:5]]
    listed = "; ".join(f"{group.name!r} ({group.describe()})" for group in groups[:5])
    options = " or ".join(f"--main {_quote(name)}" for name in names[:2])
    return InputError(f"{path}: which column matters? {listed}; give {options}")


def _quote(name: str) -> str:
    return f'"{name}"' if re.search(r"\W", name) else name
