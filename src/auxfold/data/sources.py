"""Several training files under one set of column names.

A source need not have every label: where it lacks a column its rows are unlabelled for it, belong
to no group, have weight 1 and are not annotated for an identity. A column that no source has is an
error, so that a misspelt name does not silently become "unlabelled".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from auxfold.config import Data, Source
from auxfold.data.files import listed
from auxfold.data.lists import entries_of_lists
from auxfold.data.reader import columns_of_rows, read_rows
from auxfold.errors import InputError, nearest


@dataclass(frozen=True)
class ColumnSpec:
    """The columns that an experiment reads, by what a source without them means.

    Attributes:
        always: texts and id: every source has them.
        labels: an absent one is not labelled.
        groups: an absent one: the row stays on its own.
        weights: an absent one: every row weighs 1.
        facts: of identities and annotators; an absent one is not known.
    """

    always: list[str]
    labels: list[str]
    groups: list[str]
    weights: list[str]
    facts: list[str]

    @property
    def every(self) -> list[str]:
        """All of them."""
        return [*self.always, *self.labels, *self.groups, *self.weights, *self.facts]


def read_sources(data: Data, wanted: ColumnSpec) -> list[pd.DataFrame]:
    """A frame per source, each with every wanted column, values as strings.

    A single source must have all of them.

    Raises:
        InputError: a missing file or column, a renamed column that is not there or whose new
            name nothing asks for, a source without any label column.
    """
    if isinstance(data.train, str):
        return [read_rows(data, data.train, wanted.every)]
    headers = [_header(source, data, wanted) for source in data.sources]
    several = len(headers) > 1
    _check_found(headers, wanted, data)
    return [
        _read(source, data, header, wanted, wanted.always if several else wanted.every)
        for source, header in zip(data.sources, headers, strict=True)
    ]


def describe_sources(
    data: Data, columns: list[str], labels: np.ndarray, sources: np.ndarray | None
) -> list[str]:
    """A line per source: its rows, and which label columns it has; a misspelt name shows here."""
    made = []
    for number, name in enumerate(data.source_names if sources is not None else []):
        rows = sources == number
        known = [
            c
            for c, there in zip(columns, ~np.isnan(labels[rows]).all(axis=0), strict=True)
            if there
        ]
        made.append(f"{name}: {int(rows.sum()):,} rows with labels of {', '.join(known)}")
    return made


def rows_per_source(data: Data, sources: np.ndarray | None) -> dict[str, str]:
    """What a person compares between folds: rows by source; empty where there is one source."""
    if sources is None:
        return {}
    counts = np.bincount(sources, minlength=len(data.sources))
    return {f"rows of {n}": f"{c:,}" for n, c in zip(data.source_names, counts, strict=True)}


def _header(source: Source, data: Data, wanted: ColumnSpec) -> dict[str, str]:
    """Name in the experiment to column of the file."""
    columns = columns_of_rows(data, source.path)
    lists = {base for base, _ in entries_of_lists(wanted.every, source.rename.values()).values()}
    for old, new in source.rename.items():
        if old not in columns:
            raise InputError(
                f"{source.path} has no column {old!r} to rename{nearest(old, columns)}; its "
                f"columns are {listed(columns)}"
            )
        if new and new not in {*wanted.every, *lists}:
            raise InputError(
                f"{source.path}: column {old!r} is renamed to {new!r}, which the experiment does "
                f"not read{nearest(new, wanted.every)}; it reads {listed(wanted.every)}"
            )
    made = {new: old for old, new in source.rename.items() if new}
    for column in columns:
        if column in made:
            if column not in source.rename:
                raise InputError(
                    f"{source.path} has a column {column!r} besides {made[column]!r}, which is "
                    f'renamed to it; rename = {{ {column} = "" }} leaves it out'
                )
        elif column not in source.rename:
            made[column] = column
    entries = entries_of_lists(wanted.every, made)
    return made | {name: f"{made[base]}_{place}" for name, (base, place) in entries.items()}


def _check_found(headers: list[dict[str, str]], wanted: ColumnSpec, data: Data) -> None:
    found = {name: None for header in headers for name in header}
    for name in wanted.every:
        if name not in found:
            where = "no source of data.train has" if len(headers) > 1 else f"{data.path} has no"
            raise InputError(
                f"{where} column {name!r}{nearest(name, found)}; their columns are "
                f"{listed(list(found))}"
            )
    for source, header in zip(data.sources, headers, strict=True):
        if not set(wanted.labels) & set(header):
            raise InputError(
                f"{source.path} has none of the label columns ({listed(wanted.labels)}); its "
                f"columns are {listed(list(header))}; see rename in [[data.train]]"
            )


def _read(
    source: Source, data: Data, header: dict[str, str], wanted: ColumnSpec, required: list[str]
) -> pd.DataFrame:
    missing = [name for name in required if name not in header]
    if missing:
        raise InputError(
            f"{source.path} has no column {missing[0]!r}{nearest(missing[0], header)}; its "
            f"columns are {listed(list(header))}"
        )
    there = [name for name in dict.fromkeys(wanted.every) if name in header]
    frame = read_rows(data, source.path, [header[name] for name in there])
    frame = frame.set_axis(there, axis=1)
    may_be_empty = (*wanted.labels, *wanted.groups, *wanted.facts)
    absent = {name: "" for name in may_be_empty if name not in header}
    absent |= {name: "1" for name in wanted.weights if name not in header}
    return frame.assign(**absent)
