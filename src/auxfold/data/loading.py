"""The tables of an experiment, read from its files and checked.

Nothing is dropped, filled or cast silently: whatever cannot be used is an :class:`InputError` that
names the file, the column and the row.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from auxfold.config.experiment import Experiment
from auxfold.data.cells import check_weights, parse_identities, parse_labels, parse_weights
from auxfold.data.ids import check_unique_ids
from auxfold.data.lists import contains_lists, parse_task_numbers
from auxfold.data.reader import read_data_columns, read_data_header
from auxfold.data.sample_weights import scheme_weights
from auxfold.data.sources import ColumnSpec, read_sources
from auxfold.data.table import Table, append_validation_rows, join_tables
from auxfold.errors import InputError, nearest


def read_training_table(experiment: Experiment) -> Table:
    """The training table of an experiment, labels and weights checked.

    Raises:
        InputError: a missing file or column, duplicate or empty ids, no rows, a label that is
            not a number, a negative weight, an identity outside [0, 1].
    """
    data = experiment.data
    task_columns = [task.row_weight for task in experiment.tasks if task.row_weight]
    task_columns += _pos_weight_columns(experiment).values()
    schemes = experiment.sample_weights
    spec = ColumnSpec(
        always=[c for c in (*data.text_columns, data.id) if c],
        labels=experiment.file_columns,
        groups=[data.group] if data.group else [],
        weights=[c for c in (data.sample_weight, *task_columns, schemes.column) if c],
        annotations=[c for c in (*experiment.identities.columns, schemes.annotators) if c],
    )
    if data.group_sizes is not None:
        _refuse_unread_columns(experiment)
    frames = read_sources(data, spec)
    paths = [source.path for source in data.sources]
    validation = experiment.folds.validation
    if isinstance(validation, str):
        frames = [*frames, read_data_columns(data, validation, spec.every)]
        paths = [*paths, validation]
    files = list(zip(frames, paths, strict=True))
    tables = [_training_table(experiment, frame, path) for frame, path in files]
    if isinstance(validation, str):
        train, held_out = tables
        table = append_validation_rows(train, held_out, numbered_ids=not data.id)
    else:
        table = tables[0] if len(tables) == 1 else join_tables(tables, data.source_names)
    return _apply_weight_schemes(experiment, table, files)


def read_prediction_table(
    experiment: Experiment,
    path: str,
    rename: dict[str, str] | None = None,
    without_ids: bool = False,
) -> Table:
    """A table to predict: ids and texts. Label columns are not read.

    Args:
        experiment: names the columns.
        path: the file.
        rename: a column of the file to the name that the experiment has for it.
        without_ids: the file has no ids; rows are numbered from 0.

    Raises:
        InputError: a missing file or column, duplicate or empty ids, no rows, a column renamed to
            a name that the experiment does not read.
    """
    data, id_column = experiment.data, "" if without_ids else experiment.data.id
    columns = list(dict.fromkeys(c for c in (id_column, *data.text_columns) if c))
    file_columns = {new: old for old, new in (rename or {}).items()}
    for new, old in file_columns.items():
        if new not in columns:
            raise InputError(
                f"{path}: column {old!r} is renamed to {new!r}, which is not read"
                f"{nearest(new, columns)}; read are {', '.join(columns)}"
            )
    frame = read_data_columns(data, path, [file_columns.get(c, c) for c in columns])
    frame = frame.set_axis(columns, axis=1)
    return Table(
        path=path,
        ids=_parse_ids(frame, id_column, path),
        texts=_text_columns(frame, data.text_columns),
        labels=np.empty((len(frame), 0), dtype=np.float32),
        sample_weights=np.ones(len(frame), dtype=np.float32),
        task_weights={},
        groups=None,
        identities=np.empty((len(frame), 0), dtype=np.float32),
    )


def _apply_weight_schemes(
    experiment: Experiment, table: Table, files: list[tuple[pd.DataFrame, str]]
) -> Table:
    """The table with the weights of ``[sample_weights]`` on the main task."""
    if not experiment.sample_weights.scheme:
        return table
    name = experiment.main_task.name
    factors = scheme_weights(experiment, table.labels, table.identities, files)
    weights = table.task_weights.get(name, np.float32(1.0)) * factors
    return replace(table, task_weights={**table.task_weights, name: weights.astype(np.float32)})


def _refuse_unread_columns(experiment: Experiment) -> None:
    """Refuse a text pair or weights that come with ``group_sizes`` but that nobody reads."""
    data = experiment.data
    settings = {
        "text_pair": 'data.text = ["text", "text_pair"]',
        "weight": 'data.sample_weight = "weight"',
    }
    for source in data.sources:
        header = read_data_header(data, source.path)
        for column, setting in settings.items():
            if column in header and column not in (*data.text_columns, data.sample_weight):
                raise InputError(
                    f"{source.path} has a column {column!r}, which the experiment does not read; "
                    f"set {setting}, or remove it from the file"
                )


def _training_table(experiment: Experiment, frame: pd.DataFrame, path: str) -> Table:
    """The rows of one file."""
    data = experiment.data
    labels = [parse_labels(frame, task, path) for task in experiment.tasks]
    sample_weights, task_weights = _parse_row_weights(experiment, frame, path)
    return Table(
        path=path,
        ids=_parse_ids(frame, data.id, path),
        texts=_text_columns(frame, data.text_columns),
        labels=np.concatenate(labels, axis=1).astype(np.float32),
        sample_weights=sample_weights,
        task_weights=task_weights,
        groups=frame[data.group].to_numpy(dtype=object) if data.group else None,
        identities=parse_identities(frame, experiment.identities.columns, path),
        pos_weights={
            task: parse_weights(frame, column, path)
            for task, column in _pos_weight_columns(experiment).items()
        },
    )


def _pos_weight_columns(experiment: Experiment) -> dict[str, str]:
    """Task name to the column of its positive weights, for tasks that name one."""
    return {t.name: t.pos_weight_column for t in experiment.tasks if t.pos_weight_column}


def _parse_ids(frame: pd.DataFrame, column: str, path: str) -> np.ndarray:
    """``(rows,)`` unique strings; the row numbers where ``column`` is empty."""
    if not column:
        return np.array([str(number) for number in range(len(frame))], dtype=object)
    ids = frame[column].to_numpy(dtype=object)
    empty = np.flatnonzero(ids == "")
    if len(empty):
        raise InputError(f"{path}: column {column!r} is empty in row {empty[0] + 1}")
    check_unique_ids(ids, path)
    return ids


def _text_columns(frame: pd.DataFrame, columns: list[str]) -> list[list[str]]:
    return [frame[column].tolist() for column in columns]


def _parse_row_weights(
    experiment: Experiment, frame: pd.DataFrame, path: str
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """``(rows,)`` float32 weights for all tasks, and those of single tasks by name.

    A task has weights of its own where ``data.sample_weight`` holds lists, or where the task names
    a column. Where both do, the weights are multiplied.
    """
    column, tasks = experiment.data.sample_weight, experiment.tasks
    sample_weights = np.ones(len(frame), np.float32)
    task_weights: dict[str, np.ndarray] = {}
    if column is not None and contains_lists(frame[column]):
        numbers = parse_task_numbers(frame[column], len(tasks), column, path)
        weights = check_weights(numbers, column, path)
        task_weights = {task.name: weights[:, index] for index, task in enumerate(tasks)}
    elif column is not None:
        sample_weights = parse_weights(frame, column, path)
    for task in tasks:
        if task.row_weight is not None:
            weights = parse_weights(frame, task.row_weight, path)
            task_weights[task.name] = task_weights.get(task.name, np.float32(1.0)) * weights
    return sample_weights, task_weights
