"""A competition file as a checked table: ids, texts, labels, weights and groups.

Nothing is dropped, filled or cast silently: what cannot be used is an :class:`InputError`
that names the file, the column and the row.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from auxfold.data.cells import identities_of, labels_of, weights_of
from auxfold.data.files import read_columns, require_columns, with_names
from auxfold.data.row_weights import scheme_weights
from auxfold.data.several import Wanted, read_sources
from auxfold.errors import InputError
from auxfold.experiment import Experiment
from auxfold.settings import BinarySettings


@dataclass(frozen=True)
class Table:
    """Rows of one file, or of several sources one after the other.

    Attributes:
        path: where the rows were read.
        ids: ``(rows,)`` strings, unique.
        texts: one list of strings per text column, each of length ``rows``.
        labels: ``(rows, columns)`` float32, NaN where not labelled; columns as in
            ``Experiment.label_columns``; no columns for a test file.
        row_weights: ``(rows,)`` float32, for every task.
        task_weights: task name to ``(rows,)`` float32, for tasks that name a column and, under
            ``[row_weights]``, for the main task.
        groups: ``(rows,)`` strings or None.
        identities: ``(rows, identities)`` float32 in [0, 1], NaN where not annotated; columns as in
            ``[identities]``, none where it names none and for a test file.
        sources: ``(rows,)`` int, which of several sources a row is of; None where there is one.
        positive_weights: task name to ``(rows,)`` float32, for tasks whose ``positive_weight`` is a
            column.
    """

    path: str
    ids: np.ndarray
    texts: list[list[str]]
    labels: np.ndarray
    row_weights: np.ndarray
    task_weights: dict[str, np.ndarray]
    groups: np.ndarray | None
    identities: np.ndarray
    sources: np.ndarray | None = None
    positive_weights: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def sources_of(self, rows: np.ndarray) -> np.ndarray | None:
        """The sources of the given rows; None where there is one source."""
        return None if self.sources is None else self.sources[rows]

    def take(self, rows: np.ndarray) -> Table:
        """The given rows, in the given order."""
        return Table(
            path=self.path,
            ids=self.ids[rows],
            texts=[[column[row] for row in rows] for column in self.texts],
            labels=self.labels[rows],
            row_weights=self.row_weights[rows],
            task_weights={name: weights[rows] for name, weights in self.task_weights.items()},
            groups=None if self.groups is None else self.groups[rows],
            identities=self.identities[rows],
            sources=self.sources_of(rows),
            positive_weights={name: w[rows] for name, w in self.positive_weights.items()},
        )

    def fingerprint(self) -> str:
        """A digest of ids, texts, labels, weights, groups, identities, sources, in file order."""
        digest = hashlib.sha256()
        strings = [self.ids, *self.texts, *([] if self.groups is None else [self.groups])]
        for column in strings:
            # Hashing values rather than joined text: a separator could stand in a text.
            digest.update(pd.util.hash_array(np.asarray(column, dtype=object)).tobytes())
        weights = (self.row_weights, *self.task_weights.values(), *self.positive_weights.values())
        for numbers in (self.labels, *weights, self.identities):
            # No identities are no bytes: as if they were not asked for.
            digest.update(np.ascontiguousarray(numbers).tobytes())
        if self.sources is not None:
            digest.update(self.sources.astype(np.int64).tobytes())
        return digest.hexdigest()[:16]


def read_train(experiment: Experiment) -> Table:
    """The training table of an experiment, labels and weights checked.

    Raises:
        InputError: a missing file or column, duplicate or empty ids, no rows, a label that is
            not a number, a negative weight, an identity outside [0, 1].
    """
    data = experiment.data
    own_weights = [task.row_weight for task in experiment.tasks if task.row_weight]
    own_weights += _positive_columns(experiment).values()
    of_scheme = experiment.row_weights
    wanted = Wanted(
        always=[c for c in (*data.text_columns, data.id) if c],
        labels=experiment.label_columns,
        groups=[data.group] if data.group else [],
        weights=[c for c in (data.row_weight, *own_weights, of_scheme.column) if c],
        facts=[c for c in (*experiment.identities.columns, of_scheme.annotators) if c],
    )
    frames = read_sources(data, wanted)
    tables = [
        _train_table(experiment, frame, source.path)
        for frame, source in zip(frames, data.sources, strict=True)
    ]
    table = tables[0] if len(tables) == 1 else joined(tables, data.source_names)
    if not experiment.row_weights.scheme:
        return table
    name = experiment.main_task.name
    weights = scheme_weights(experiment, table.labels, table.identities, frames)
    own = table.task_weights.get(name, np.float32(1.0)) * weights
    task_weights = {**table.task_weights, name: own.astype(np.float32)}
    return replace(table, task_weights=task_weights)


def _train_table(experiment: Experiment, frame: pd.DataFrame, path: str) -> Table:
    """The rows of one file."""
    data = experiment.data
    labels = [labels_of(frame, task, path) for task in experiment.tasks]
    return Table(
        path=path,
        ids=_ids(frame, data.id, path),
        texts=_texts(frame, data.text_columns),
        labels=np.concatenate(labels, axis=1).astype(np.float32),
        row_weights=weights_of(frame, data.row_weight, path),
        task_weights={
            task.name: weights_of(frame, task.row_weight, path)
            for task in experiment.tasks
            if task.row_weight
        },
        groups=frame[data.group].to_numpy(dtype=object) if data.group else None,
        identities=identities_of(frame, experiment.identities.columns, path),
        positive_weights={
            task: weights_of(frame, column, path)
            for task, column in _positive_columns(experiment).items()
        },
    )


def _positive_columns(experiment: Experiment) -> dict[str, str]:
    """Task name to the column of its positive weights, of tasks that name one."""
    binary = [task for task in experiment.tasks if isinstance(task, BinarySettings)]
    return {t.name: t.positive_weight_column for t in binary if t.positive_weight_column}


def joined(tables: list[Table], names: list[str]) -> Table:
    """The rows of several sources, one source after the other.

    Ids become ``<source>/<id>``: equal ids of different sources stay apart. Groups do not: one
    that stands in two sources is one group.

    Raises:
        InputError: a source has no label in any row.
    """
    for table in tables:
        if np.isnan(table.labels).all():
            raise InputError(f"{table.path} has no label in any row; it teaches no task")
    grouped = tables[0].groups is not None
    return Table(
        path=" + ".join(table.path for table in tables),
        ids=np.concatenate(
            [
                np.array([f"{n}/{i}" for i in t.ids], object)
                for n, t in zip(names, tables, strict=True)
            ]
        ),
        texts=[sum(columns, []) for columns in zip(*(t.texts for t in tables), strict=True)],
        labels=np.concatenate([table.labels for table in tables]),
        row_weights=np.concatenate([table.row_weights for table in tables]),
        task_weights={
            task: np.concatenate([table.task_weights[task] for table in tables])
            for task in tables[0].task_weights
        },
        groups=np.concatenate([table.groups for table in tables]) if grouped else None,
        identities=np.concatenate([table.identities for table in tables]),
        sources=np.repeat(np.arange(len(tables)), [len(table) for table in tables]),
        positive_weights={
            task: np.concatenate([table.positive_weights[task] for table in tables])
            for task in tables[0].positive_weights
        },
    )


def read_texts(
    experiment: Experiment,
    path: str,
    rename: dict[str, str] | None = None,
    without_ids: bool = False,
) -> Table:
    """A table to predict: ids and texts; label columns are not looked at.

    Args:
        experiment: names the columns.
        path: the table.
        rename: a column of the table to the name that the experiment has for it.
        without_ids: the table has none: rows are numbered from 0.

    Raises:
        InputError: a missing file or column, duplicate or empty ids, no rows.
    """
    data, id_column = experiment.data, "" if without_ids else experiment.data.id
    wanted = [c for c in (id_column, *data.text_columns) if c]
    frame = with_names(read_columns(path), rename, path) if rename else read_columns(path, wanted)
    require_columns(frame, wanted, path)
    return Table(
        path=path,
        ids=_ids(frame, id_column, path),
        texts=_texts(frame, data.text_columns),
        labels=np.empty((len(frame), 0), dtype=np.float32),
        row_weights=np.ones(len(frame), dtype=np.float32),
        task_weights={},
        groups=None,
        identities=np.empty((len(frame), 0), dtype=np.float32),
    )


def _ids(frame: pd.DataFrame, column: str, path: str) -> np.ndarray:
    if not column:
        return np.array([str(number) for number in range(len(frame))], dtype=object)
    ids = frame[column].to_numpy(dtype=object)
    empty = np.flatnonzero(ids == "")
    if len(empty):
        raise InputError(f"{path}: column {column!r} is empty in row {empty[0] + 1}")
    twice = frame[column].duplicated(keep=False).to_numpy()
    if twice.any():
        first = ids[twice][0]
        raise InputError(
            f"{path}: id {first!r} stands in more than one row "
            f"({int(twice.sum())} rows share their id with another); ids must be unique"
        )
    return ids


def _texts(frame: pd.DataFrame, columns: list[str]) -> list[list[str]]:
    return [frame[column].tolist() for column in columns]
