"""Labeled examples of the test file as training rows (``[[data.from_test]]``).

A row of the test file may bring texts whose labels are known, in columns of its own, such as an
example that breaks the rule of the row. Every such text becomes one row of the training table. It
has the labels that the experiment states and no others, no group, and weight 1 unless it names a
column of weights. Every fold trains on it, and no fold validates on it, so that out-of-fold scores
are those of the training files.

An example whose texts a training file has, too, is left out: that row counts, in its own fold. Of
several examples with the same texts and labels, the first one is a training row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from auxfold.config import Data, Folds
from auxfold.config.from_test import FROM_TEST, LabeledExamples
from auxfold.data.files import format_list
from auxfold.data.folds import duplicate_keys
from auxfold.data.ids import check_unique_ids
from auxfold.data.parts import TRAIN
from auxfold.data.sources import ColumnSpec
from auxfold.data.table import Table, join_tables
from auxfold.errors import InputError, nearest


def example_columns(data: Data, spec: ColumnSpec) -> list[str]:
    """The columns of the test file that its examples are read from.

    Raises:
        InputError: an example has a column that the experiment does not read.
    """
    for number, examples in enumerate(data.from_test):
        for name in (*examples.columns, *examples.keep):
            if name not in spec.every:
                raise InputError(
                    f"data.from_test.{number} has the column {name!r}, which the experiment does "
                    f"not read{nearest(name, spec.every)}; it reads {format_list(spec.every)}"
                )
    columns = [column for examples in data.from_test for column in examples.file_columns]
    return list(dict.fromkeys([*([data.id] if data.id else []), *columns]))


def collect_examples(
    test_rows: pd.DataFrame, data: Data, spec: ColumnSpec
) -> tuple[pd.DataFrame, str]:
    """All examples of the test file, one declaration after the other, and what to call them.

    Args:
        test_rows: the columns of :func:`example_columns`, every value a string; the index has the
            numbers of the rows.
        data: declares the examples.
        spec: the columns that the experiment reads.

    Returns:
        A frame with every column of ``spec``, without examples that have no text, and its name in
        messages. Ids, and the index, are ``from_test/<number of the declaration>/<id>``.

    Raises:
        InputError: no example has a text.
    """
    frames = [
        _read_examples(test_rows, examples, f"{FROM_TEST}/{number}/", data, spec)
        for number, examples in enumerate(data.from_test, start=1)
    ]
    frame = pd.concat(frames)
    n_empty = len(test_rows) * len(frames) - len(frame)
    if not len(frame):
        raise InputError(
            f"{data.examples_path}: none of the {n_empty:,} examples has a text; leave out "
            f"data.from_test"
        )
    left_out = f", {n_empty:,} empty left out" if n_empty else ""
    return frame, f"{data.test} (data.from_test{left_out})"


def _read_examples(
    test_rows: pd.DataFrame,
    examples: LabeledExamples,
    prefix: str,
    data: Data,
    spec: ColumnSpec,
) -> pd.DataFrame:
    """One example of every row of the test file, unless its text is empty."""
    columns = {name: column for name, column in examples.columns.items() if column}
    cells = dict.fromkeys(spec.every, "") | dict.fromkeys(spec.weights, "1")
    cells |= {data.split: TRAIN} if data.split else {}
    read = {name: test_rows[column] for name, column in columns.items()}
    read |= {name: test_rows[name] for name in examples.keep}
    read |= {data.id: prefix + test_rows[data.id]} if data.id else {}
    frame = pd.DataFrame({**cells, **read, **examples.label_cells}, index=test_rows.index)
    frame.index = [f"{prefix}{row}" for row in frame.index]
    texts = [name for name in columns if name in data.text_columns]
    has_text = frame[texts].apply(lambda column: column.str.strip() != "").any(axis=1)
    return frame[has_text]


def append_examples(train: Table, examples: Table, folds: Folds) -> Table:
    """The rows of the training files followed by examples of the test file, which are marked.

    Texts are compared as folds compare them: equal but for case, white space and punctuation, near
    to each other with ``folds.group_near_duplicates``, or exactly equal without
    ``folds.group_duplicates``.

    Args:
        train: the rows of the training files, and of the validation file.
        examples: the rows of :func:`collect_examples`.
        folds: which texts are the same.

    Raises:
        InputError: an id is in both.
    """
    texts = [[*first, *second] for first, second in zip(train.texts, examples.texts, strict=True)]
    groups = _text_groups(texts, folds)
    is_known = np.isin(groups[len(train) :], groups[: len(train)])
    content = pd.DataFrame(_by_number(examples.texts)).assign(labels=_row_keys(examples.labels))
    is_repeated = content.duplicated().to_numpy() & ~is_known
    indices = np.flatnonzero(~is_known & ~is_repeated)
    note = (
        f"{examples.path}: {len(indices):,} of {len(examples):,} examples are rows that every fold "
        f"trains on and none validates on; {is_known.sum():,} have the texts of a training row, "
        f"and {is_repeated.sum():,} repeat an example with the same labels"
    )
    notes = [*train.notes, *examples.notes, note]
    if not len(indices):
        return replace(train, notes=notes)
    return replace(_join(train, examples.take(indices)), notes=notes)


def _join(train: Table, examples: Table) -> Table:
    if train.held_out is not None:
        examples = replace(examples, held_out=np.zeros(len(examples), dtype=bool))
    table = join_tables([train, examples], None)
    check_unique_ids(table.ids, table.path)
    sources = None
    if train.sources is not None:
        number = train.sources.max() + 1
        sources = np.append(train.sources, np.full(len(examples), number))
    from_test = np.repeat([False, True], [len(train), len(examples)])
    return replace(table, sources=sources, from_test=from_test)


def _text_groups(texts: list[list[str]], folds: Folds) -> np.ndarray:
    """``(rows,)`` int; rows with the same number have the same texts."""
    if not folds.group_duplicates:
        return pd.DataFrame(_by_number(texts)).groupby([*range(len(texts))]).ngroup().to_numpy()
    numbers, keys = pd.factorize(np.array(duplicate_keys(texts), dtype=object))
    if folds.group_near_duplicates is None:
        return numbers
    from auxfold.data.near_duplicates import group_near_duplicates

    return group_near_duplicates(keys, folds.group_near_duplicates)[numbers]


def _by_number(texts: Sequence[Sequence[str]]) -> dict[int, list[str]]:
    """The text columns as columns of a frame."""
    return {number: list(column) for number, column in enumerate(texts)}


def _row_keys(labels: np.ndarray) -> list[bytes]:
    """The bytes of every row of labels; NaN is NaN."""
    return [row.tobytes() for row in labels]
