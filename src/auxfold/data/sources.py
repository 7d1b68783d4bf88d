"""Several training files under one set of column names.

A source need not have every column. Where it lacks one, its rows are unlabeled for that column,
belong to no group, have weight 1, or are not annotated for an identity. A column that no source
has is an error, so that a misspelled name does not silently become "unlabeled".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from auxfold.config import Data, Source
from auxfold.data.files import format_list
from auxfold.data.lists import match_list_entries
from auxfold.data.objects import match_object_keys
from auxfold.data.reader import read_data_columns, read_data_header
from auxfold.errors import InputError, nearest


@dataclass(frozen=True)
class ColumnSpec:
    """The columns that an experiment reads, by what a source without them means.

    Attributes:
        always: texts and id; every source has them.
        fields: the columns of a template; a source without one has empty texts in their place.
        labels: a source without one is not labeled for it.
        groups: without one, every row is a group of its own.
        weights: without one, every row has weight 1.
        annotations: identities and numbers of annotators; without one, they are unknown.
    """

    always: list[str]
    fields: list[str]
    labels: list[str]
    groups: list[str]
    weights: list[str]
    annotations: list[str]

    @property
    def every(self) -> list[str]:
        """All of these columns."""
        texts = [*self.always, *self.fields]
        return [*texts, *self.labels, *self.groups, *self.weights, *self.annotations]


def read_sources(data: Data, spec: ColumnSpec) -> list[pd.DataFrame]:
    """One frame per source, each with every column of ``spec``, values as strings.

    A single source must have all of the columns.

    Raises:
        InputError: a missing file or column, a renamed column that does not exist or whose new
            name the experiment does not read, a source without any label column.
    """
    if isinstance(data.train, str):
        return [read_data_columns(data, data.train, spec.every)]
    headers = [_map_columns(source, data, spec) for source in data.sources]
    _check_columns(headers, spec, data)
    required = spec.always if len(headers) > 1 else spec.every
    return [
        _read_source(source, data, header, spec, required)
        for source, header in zip(data.sources, headers, strict=True)
    ]


def describe_sources(
    data: Data, columns: list[str], labels: np.ndarray, sources: np.ndarray | None
) -> list[str]:
    """One line per source: its number of rows, and the label columns that it has.

    The lines reveal a misspelled column name.

    Args:
        data: names the sources.
        columns: the label columns of the experiment.
        labels: ``(rows, columns)``, NaN where not labeled.
        sources: ``(rows,)`` int, each row's source; None where there is one source: no lines.
    """
    if sources is None:
        return []
    lines = []
    for number, name in enumerate(data.row_sources):
        is_member = sources == number
        has_labels = ~np.isnan(labels[is_member]).all(axis=0)
        labeled = [column for column, flag in zip(columns, has_labels, strict=True) if flag]
        lines.append(f"{name}: {int(is_member.sum()):,} rows with labels of {', '.join(labeled)}")
    return lines


def rows_per_source(data: Data, sources: np.ndarray | None) -> dict[str, str]:
    """Number of rows by source, formatted for a table of folds; empty where there is one source."""
    if sources is None:
        return {}
    counts = np.bincount(sources, minlength=len(data.row_sources))
    return {
        f"rows of {name}": f"{count:,}"
        for name, count in zip(data.row_sources, counts, strict=True)
    }


def _map_columns(source: Source, data: Data, spec: ColumnSpec) -> dict[str, str]:
    """Column name in the experiment to column name in the file."""
    columns = read_data_header(data, source.path)
    renamed = list(source.rename.values())
    nested = {base for base, _ in match_list_entries(spec.every, renamed).values()}
    nested |= {base for base, _ in match_object_keys(spec.every, renamed).values()}
    for old, new in source.rename.items():
        if old not in columns:
            raise InputError(
                f"{source.path} has no column {old!r} to rename{nearest(old, columns)}; its "
                f"columns are {format_list(columns)}"
            )
        if new and new not in {*spec.every, *nested}:
            raise InputError(
                f"{source.path}: column {old!r} is renamed to {new!r}, which the experiment does "
                f"not read{nearest(new, spec.every)}; it reads {format_list(spec.every)}"
            )
    header = {new: old for old, new in source.rename.items() if new}
    for column in columns:
        if column in header:
            if column not in source.rename:
                raise InputError(
                    f"{source.path} has a column {column!r} besides {header[column]!r}, which is "
                    f'renamed to it; rename = {{ {column} = "" }} leaves it out'
                )
        elif column not in source.rename:
            header[column] = column
    entries = match_list_entries(spec.every, header)
    keys = match_object_keys(spec.every, header)
    header |= {name: f"{header[base]}_{index}" for name, (base, index) in entries.items()}
    return header | {name: f"{header[base]}.{key}" for name, (base, key) in keys.items()}


def _check_columns(headers: list[dict[str, str]], spec: ColumnSpec, data: Data) -> None:
    """Refuse a column that no source has, and a source without labels."""
    available = {name: None for header in headers for name in header}
    for name in spec.every:
        if name not in available:
            where = "no source of data.train has"
            if len(headers) == 1:
                where = f"{data.sources[0].path} has no"
            raise InputError(
                f"{where} column {name!r}{nearest(name, available)}; their columns are "
                f"{format_list(list(available))}"
            )
    for source, header in zip(data.sources, headers, strict=True):
        if spec.fields and not set(spec.fields) & set(header):
            raise InputError(
                f"{source.path} has none of the columns of data.template "
                f"({format_list(spec.fields)}); its columns are {format_list(list(header))}; see "
                f"rename in [[data.train]]"
            )
        if not set(spec.labels) & set(header):
            raise InputError(
                f"{source.path} has none of the label columns ({format_list(spec.labels)}); its "
                f"columns are {format_list(list(header))}; see rename in [[data.train]]"
            )


def _read_source(
    source: Source, data: Data, header: dict[str, str], spec: ColumnSpec, required: list[str]
) -> pd.DataFrame:
    """The rows of one source under the experiment's names, with cells for missing columns."""
    missing = [name for name in required if name not in header]
    if missing:
        raise InputError(
            f"{source.path} has no column {missing[0]!r}{nearest(missing[0], header)}; its "
            f"columns are {format_list(list(header))}"
        )
    names = [name for name in dict.fromkeys(spec.every) if name in header]
    frame = read_data_columns(data, source.path, [header[name] for name in names])
    frame = frame.set_axis(names, axis=1)
    may_be_empty = (*spec.fields, *spec.labels, *spec.groups, *spec.annotations)
    absent = {name: "" for name in may_be_empty if name not in header}
    absent |= {name: "1" for name in spec.weights if name not in header}
    return frame.assign(**absent)
