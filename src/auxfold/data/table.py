"""A competition file as a checked table: ids, texts, labels, weights and groups.

Nothing is dropped, filled or cast silently: what cannot be used is an :class:`InputError`
that names the file, the column and the row.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from auxfold.config import BinarySettings
from auxfold.config.experiment import Experiment
from auxfold.data.cells import checked_weights, identities_of, labels_of, weights_of
from auxfold.data.lists import holds_lists, numbers_by_task
from auxfold.data.reader import columns_of_rows, read_rows
from auxfold.data.sample_weights import scheme_weights
from auxfold.data.sources import ColumnSpec, read_sources
from auxfold.errors import InputError, nearest


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
            ``[sample_weights]``, for the main task.
        groups: ``(rows,)`` strings or None.
        identities: ``(rows, identities)`` float32 in [0, 1], NaN where not annotated; columns as in
            ``[identities]``, none where it names none and for a test file.
        sources: ``(rows,)`` int, which of several sources a row is of; None where there is one.
        held_out: ``(rows,)`` bool, the rows of a validation file; None where there is none.
        positive_weights: task name to ``(rows,)`` float32, for tasks whose ``pos_weight`` is a
            column.
    """

    path: str
    ids: np.ndarray
    texts: list[list[str]]
    labels: np.ndarray
    sample_weights: np.ndarray
    task_weights: dict[str, np.ndarray]
    groups: np.ndarray | None
    identities: np.ndarray
    sources: np.ndarray | None = None
    held_out: np.ndarray | None = None
    pos_weights: dict[str, np.ndarray] = field(default_factory=dict)

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
            sample_weights=self.sample_weights[rows],
            task_weights={name: weights[rows] for name, weights in self.task_weights.items()},
            groups=None if self.groups is None else self.groups[rows],
            identities=self.identities[rows],
            sources=self.sources_of(rows),
            held_out=None if self.held_out is None else self.held_out[rows],
            pos_weights={name: w[rows] for name, w in self.pos_weights.items()},
        )

    def fingerprint(self) -> str:
        """A digest of ids, texts, labels, weights, groups, identities, sources, in file order."""
        digest = hashlib.sha256()
        strings = [self.ids, *self.texts, *([] if self.groups is None else [self.groups])]
        for column in strings:
            # Hashing values rather than joined text: a separator could stand in a text.
            digest.update(pd.util.hash_array(np.asarray(column, dtype=object)).tobytes())
        weights = (self.sample_weights, *self.task_weights.values(), *self.pos_weights.values())
        for numbers in (self.labels, *weights, self.identities):
            # No identities are no bytes: as if they were not asked for.
            digest.update(np.ascontiguousarray(numbers).tobytes())
        for places in (self.sources, self.held_out):
            if places is not None:
                digest.update(places.astype(np.int64).tobytes())
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
    of_scheme = experiment.sample_weights
    wanted = ColumnSpec(
        always=[c for c in (*data.text_columns, data.id) if c],
        labels=experiment.label_columns,
        groups=[data.group] if data.group else [],
        weights=[c for c in (data.sample_weight, *own_weights, of_scheme.column) if c],
        facts=[c for c in (*experiment.identities.columns, of_scheme.annotators) if c],
    )
    if data.group_sizes is not None:
        _refuse_unread(experiment)
    frames = read_sources(data, wanted)
    paths = [source.path for source in data.sources]
    validation = experiment.folds.validation
    if isinstance(validation, str):
        frames, paths = [*frames, read_rows(data, validation, wanted.every)], [*paths, validation]
    tables = [_train_table(experiment, *pair) for pair in zip(frames, paths, strict=True)]
    if isinstance(validation, str):
        table = with_validation(*tables, numbered=not data.id)
    else:
        table = tables[0] if len(tables) == 1 else joined(tables, data.source_names)
    return _with_scheme(experiment, table, list(zip(frames, paths, strict=True)))


def _with_scheme(
    experiment: Experiment, table: Table, files: list[tuple[pd.DataFrame, str]]
) -> Table:
    """The table with the weights of ``[sample_weights]`` on the main task."""
    if not experiment.sample_weights.scheme:
        return table
    name = experiment.main_task.name
    weights = scheme_weights(experiment, table.labels, table.identities, files)
    own = table.task_weights.get(name, np.float32(1.0)) * weights
    return replace(table, task_weights={**table.task_weights, name: own.astype(np.float32)})


def _refuse_unread(experiment: Experiment) -> None:
    """Rows of ``group_sizes`` may have a pair and weights: they are read, or left out knowingly."""
    data = experiment.data
    ways = {
        "text_pair": 'data.text = ["text", "text_pair"]',
        "weight": 'data.sample_weight = "weight"',
    }
    for source in data.sources:
        header = columns_of_rows(data, source.path)
        for column, way in ways.items():
            if column in header and column not in (*data.text_columns, data.sample_weight):
                raise InputError(
                    f"{source.path} has a column {column!r}, which the experiment does not read; "
                    f"set {way}, or remove it from the file"
                )


def with_validation(train: Table, held_out: Table, numbered: bool) -> Table:
    """The rows of both files, the second's marked.

    Args:
        train: rows of the training file.
        held_out: rows of the validation file.
        numbered: the files have no ids: the second's numbers become ``validation/<number>``.

    Raises:
        InputError: an id stands in both.
    """
    if numbered:
        ids = np.array([f"validation/{name}" for name in held_out.ids], dtype=object)
        held_out = replace(held_out, ids=ids)
    common = sorted(set(train.ids) & set(held_out.ids))
    if common:
        raise InputError(
            f"id {common[0]!r} stands in {train.path} and in {held_out.path} ({len(common)} such "
            f'ids); an id names one row, or set data.id = "" to number the rows'
        )
    both = joined([train, held_out], None)
    return replace(both, sources=None, held_out=both.sources == 1)


def _train_table(experiment: Experiment, frame: pd.DataFrame, path: str) -> Table:
    """The rows of one file."""
    data = experiment.data
    labels = [labels_of(frame, task, path) for task in experiment.tasks]
    sample_weights, task_weights = _weights_of_tasks(experiment, frame, path)
    return Table(
        path=path,
        ids=_ids(frame, data.id, path),
        texts=_texts(frame, data.text_columns),
        labels=np.concatenate(labels, axis=1).astype(np.float32),
        sample_weights=sample_weights,
        task_weights=task_weights,
        groups=frame[data.group].to_numpy(dtype=object) if data.group else None,
        identities=identities_of(frame, experiment.identities.columns, path),
        pos_weights={
            task: weights_of(frame, column, path)
            for task, column in _positive_columns(experiment).items()
        },
    )


def _positive_columns(experiment: Experiment) -> dict[str, str]:
    """Task name to the column of its positive weights, of tasks that name one."""
    binary = [task for task in experiment.tasks if isinstance(task, BinarySettings)]
    return {t.name: t.pos_weight_column for t in binary if t.pos_weight_column}


def joined(tables: list[Table], names: list[str] | None) -> Table:
    """The rows of several sources, one source after the other.

    With names ids become ``<source>/<id>``: equal ids of different sources stay apart. Groups do
    not: one that stands in two sources is one group.

    Raises:
        InputError: a source has no label in any row.
    """
    for table in tables:
        if np.isnan(table.labels).all():
            raise InputError(f"{table.path} has no label in any row; it teaches no task")
    grouped = tables[0].groups is not None
    ids = [t.ids for t in tables]
    if names is not None:
        ids = [
            np.array([f"{n}/{i}" for i in own], object) for n, own in zip(names, ids, strict=True)
        ]
    weighted = dict.fromkeys(name for table in tables for name in table.task_weights)
    return Table(
        path=" + ".join(table.path for table in tables),
        ids=np.concatenate(ids),
        texts=[sum(columns, []) for columns in zip(*(t.texts for t in tables), strict=True)],
        labels=np.concatenate([table.labels for table in tables]),
        sample_weights=np.concatenate([table.sample_weights for table in tables]),
        task_weights={
            task: np.concatenate(
                [t.task_weights.get(task, np.ones(len(t), np.float32)) for t in tables]
            )
            for task in weighted
        },
        groups=np.concatenate([table.groups for table in tables]) if grouped else None,
        identities=np.concatenate([table.identities for table in tables]),
        sources=np.repeat(np.arange(len(tables)), [len(table) for table in tables]),
        pos_weights={
            task: np.concatenate([table.pos_weights[task] for table in tables])
            for task in tables[0].pos_weights
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
        InputError: a missing file or column, duplicate or empty ids, no rows, a column renamed to
            what the experiment does not read.
    """
    data, id_column = experiment.data, "" if without_ids else experiment.data.id
    wanted = list(dict.fromkeys(c for c in (id_column, *data.text_columns) if c))
    own = {new: old for old, new in (rename or {}).items()}
    for new, old in own.items():
        if new not in wanted:
            raise InputError(
                f"{path}: column {old!r} is renamed to {new!r}, which is not read"
                f"{nearest(new, wanted)}; read are {', '.join(wanted)}"
            )
    frame = read_rows(data, path, [own.get(c, c) for c in wanted]).set_axis(wanted, axis=1)
    return Table(
        path=path,
        ids=_ids(frame, id_column, path),
        texts=_texts(frame, data.text_columns),
        labels=np.empty((len(frame), 0), dtype=np.float32),
        sample_weights=np.ones(len(frame), dtype=np.float32),
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


def _weights_of_tasks(
    experiment: Experiment, frame: pd.DataFrame, path: str
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Row weights ``(rows,)``, and those of single tasks: a list in ``data.sample_weight``, or a
    column of the task's own, or both, which multiply.
    """
    column, tasks = experiment.data.sample_weight, experiment.tasks
    sample_weights, own = np.ones(len(frame), np.float32), {}
    if column is not None and holds_lists(frame[column]):
        numbers = numbers_by_task(frame[column], len(tasks), column, path)
        weights = checked_weights(numbers, column, path)
        own = {task.name: weights[:, place] for place, task in enumerate(tasks)}
    elif column is not None:
        sample_weights = weights_of(frame, column, path)
    for task in tasks:
        if task.row_weight is not None:
            weights = weights_of(frame, task.row_weight, path)
            own[task.name] = own.get(task.name, np.float32(1.0)) * weights
    return sample_weights, own
