"""Guess the roles of the columns of an unknown table: texts, id, split, and labels by kind."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from auxfold.data.parts import DEV, PARTS, TEST, TRAIN
from auxfold.errors import InputError, nearest
from auxfold.quickstart.column import ColumnProfile
from auxfold.quickstart.label_groups import LabelGroup, find_copies, find_votes
from auxfold.quickstart.labels import propose_tasks
from auxfold.quickstart.names import (
    COUNT_WORDS,
    NO_LABEL_WORDS,
    SPLIT_NAMES,
    has_word,
    is_id_name,
    name_words,
)
from auxfold.quickstart.sample import Sample
from auxfold.quickstart.texts import choose_texts


@dataclass(frozen=True)
class TableProfile:
    """The roles of a table's columns.

    Attributes:
        rows: the number of rows.
        texts: the one or two text columns.
        id: the id column, or None.
        main: the main task.
        auxiliary: further tasks.
        others: what could be further tasks.
        split: the column that marks the parts of the table, or None.
        parts: rows per part (``train``, ``dev``, ``test``); empty where no column marks them.
        repeated: columns that look like ids but repeat values; rows with equal values may have to
            stay in one fold.
        unused: column name to the reason why the column has no role.
    """

    rows: int
    texts: list[str]
    id: str | None
    main: LabelGroup
    auxiliary: list[LabelGroup]
    others: list[LabelGroup]
    split: str | None
    parts: dict[str, int]
    repeated: list[str]
    unused: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Requests:
    """The columns that the user names; whatever is empty is guessed.

    Attributes:
        main: the label columns of the main task.
        text: the text column, or both of a pair.
        id: the id column; the empty string where there is none; None: guessed.
    """

    main: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    id: str | None = None


def profile_table(
    frame: pd.DataFrame,
    path: str,
    features: list[str],
    requests: Requests | None = None,
    sample: Sample | None = None,
) -> TableProfile:
    """Guess the role of every column.

    Args:
        frame: the table, every value a string.
        path: named in errors.
        features: the columns of the test file, which are not labels.
        requests: the columns that the user names.
        sample: the sample submission, where there is one.

    Raises:
        InputError: no column holds texts, none could be a label, two readings of the columns are
            equally good, or a requested column does not exist.
    """
    requests = requests or Requests()
    columns = {name: ColumnProfile.from_cells(name, frame[name]) for name in frame.columns}
    texts = choose_texts(columns, path, requests.text, features)
    split = _find_split(columns)
    candidates = {n: c for n, c in columns.items() if n not in texts and n != split}
    id_column = _choose_id(candidates, path, requests, sample)
    candidates.pop(id_column or "", None)
    votes = _find_votes(candidates, features)
    labels, repeated, unused = _find_labels(candidates, features, votes, requests.main, sample)
    if not labels:
        reasons = "; ".join(
            f"{name}: {reason}"
            for name, reason in _all_reasons(texts, id_column, split, repeated, unused).items()
        )
        raise InputError(f"{path}: no column looks like a label; {reasons}")
    tasks = propose_tasks(labels, votes, requests.main, sample, path)
    return TableProfile(
        rows=len(frame),
        texts=texts,
        id=id_column,
        main=tasks.main,
        auxiliary=tasks.auxiliary,
        others=tasks.others,
        split=split,
        parts=_count_parts(columns[split]) if split else {},
        repeated=repeated,
        unused=unused,
    )


def _all_reasons(
    texts: list[str],
    id_column: str | None,
    split: str | None,
    repeated: list[str],
    unused: dict[str, str],
) -> dict[str, str]:
    reasons = dict.fromkeys(texts, "the text")
    reasons |= {id_column: "the id"} if id_column else {}
    reasons |= {split: "the split"} if split else {}
    return reasons | dict.fromkeys(repeated, "names a group of rows") | unused


def _find_split(columns: dict[str, ColumnProfile]) -> str | None:
    """The column that marks rows as train and as dev or test."""
    for name, column in columns.items():
        if column.n_distinct <= len(PARTS) and has_word(name, SPLIT_NAMES) and not column.missing:
            are_parts = set(column.counts.index.str.lower()) <= PARTS.keys()
            parts = _count_parts(column) if are_parts else {}
            if TRAIN in parts and len(parts) > 1:
                return name
    return None


def _count_parts(column: ColumnProfile) -> dict[str, int]:
    counts = column.values.str.lower().map(PARTS).value_counts()
    return {part: int(counts[part]) for part in (TRAIN, DEV, TEST) if part in counts}


def _choose_id(
    columns: dict[str, ColumnProfile], path: str, requests: Requests, sample: Sample | None
) -> str | None:
    """The id column, or None where rows are numbered."""
    if requests.id is not None:
        if requests.id and requests.id not in columns:
            raise InputError(
                f"{path} has no column {requests.id!r} for --id{nearest(requests.id, columns)}; "
                f"its other columns are {', '.join(columns)}"
            )
        return requests.id or None
    unique = {n: c for n, c in columns.items() if c.is_id() and n not in requests.main}
    if sample is not None and sample.id in unique:
        return sample.id
    named = [name for name in unique if is_id_name(name)]
    exact = [name for name in named if name_words(name) == ["id"]]
    if len(exact) == 1 or len(named) == 1:
        return (exact or named)[0]
    if len(named) > 1:
        options = " or ".join(
            f'--id "{name}"' if re.search(r"\W", name) else f"--id {name}" for name in named[:3]
        )
        raise InputError(
            f"{path}: which column is the id? {', '.join(map(repr, named))} are all different in "
            f"every row; give {options}"
        )
    # Numbers that happen to differ in every row are ids only if the column's name says so.
    strings = [name for name, column in unique.items() if column.numbers is None]
    return strings[0] if len(strings) == 1 else None


def _find_votes(columns: dict[str, ColumnProfile], features: list[str]) -> LabelGroup | None:
    return find_votes([c for n, c in columns.items() if n not in features and not is_id_name(n)])


def _find_labels(
    columns: dict[str, ColumnProfile],
    features: list[str],
    votes: LabelGroup | None,
    main: list[str],
    sample: Sample | None,
) -> tuple[list[ColumnProfile], list[str], dict[str, str]]:
    """The columns that can be learned, those that name groups, and why the others have no role."""
    requested = {*main, *(sample.columns if sample else [])}
    in_votes = set(votes.column_names) if votes else set()
    labels, repeated, unused = [], [], {}
    for name, column in columns.items():
        if name in requested and column.kind is not None:
            labels.append(column)
        elif is_id_name(name) and column.n_distinct < column.rows and column.kind != "tags":
            repeated.append(name)
        elif reason := _describe_no_label(column, features, in_votes):
            unused[name] = reason
        else:
            labels.append(column)
    copies = find_copies([columns[name] for name in columns if name not in features])
    for copy, original in copies.items():
        is_label = any(column.name == original for column in labels)
        if copy not in requested and is_label:
            labels = [column for column in labels if column.name != copy]
            repeated = [name for name in repeated if name != copy]
            unused[copy] = f"a copy of {original!r} in other words or numbers"
    return labels, repeated, unused


def _describe_no_label(column: ColumnProfile, features: list[str], votes: set[str]) -> str | None:
    """Why a column is no label; None where it could be one."""
    name = column.name
    if name in votes and name not in features:
        return None
    if column.n_distinct < 2:
        return "only one value" if column.n_distinct else "empty"
    if name in features:
        return "is in the test file as well"
    words = name_words(name)
    if words and (words[-1] in NO_LABEL_WORDS or words[0] in COUNT_WORDS or is_id_name(name)):
        return "counts or names something"
    if column.n_distinct == column.rows and column.is_integer:
        return "a different whole number in every row"
    if column.kind is None:
        length = f" of {column.words:.1f} words on average"
        return f"{column.n_distinct:,} different values{length}: neither numbers nor classes"
    if column.kind == "binary" and column.numbers is not None and _is_one_sided(column.numbers):
        return "all values are on the same side of 0.5"
    if column.is_text():
        return f"another text ({column.words:.1f} words on average)"
    return None


def _is_one_sided(numbers: np.ndarray) -> bool:
    """Whether no row, or every row, has the positive label."""
    flags = numbers >= 0.5
    return bool(flags.all() or not flags.any())
