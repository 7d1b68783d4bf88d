"""The tables of an experiment, read from its files and checked.

Nothing is dropped, filled or cast silently: whatever cannot be used is an :class:`InputError` that
names the file, the column and the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from auxfold.config import BinarySettings, Data
from auxfold.config.experiment import Experiment
from auxfold.config.folds import DATA_SPLIT
from auxfold.data.binary_labels import check_positive_words
from auxfold.data.cells import check_weights, parse_identities, parse_weights
from auxfold.data.ids import check_unique_ids
from auxfold.data.labeled_examples import append_examples, collect_examples, example_columns
from auxfold.data.labels import parse_labels
from auxfold.data.lists import contains_lists, parse_task_numbers
from auxfold.data.parts import DEV, leave_out_test_rows, parse_parts, select_test_rows
from auxfold.data.reader import read_data_columns, read_data_header
from auxfold.data.sample_weights import scheme_factors
from auxfold.data.sources import ColumnSpec, read_sources
from auxfold.data.table import Table, append_validation_rows, join_tables
from auxfold.data.text_column import TextColumn
from auxfold.errors import InputError, nearest


def read_training_table(experiment: Experiment) -> Table:
    """The training table of an experiment, labels and weights checked.

    Raises:
        InputError: a missing file or column, duplicate or empty ids, no rows, a label that is
            not a number, a negative weight, an identity outside [0, 1], a split without rows.
    """
    files = read_training_files(experiment)
    data = experiment.data
    for task in experiment.tasks:
        if isinstance(task, BinarySettings):
            frames, paths = zip(*files, strict=True)
            check_positive_words(frames, task, " + ".join(paths))
    tables = [_training_table(experiment, frame, path) for frame, path in files]
    examples = tables.pop() if data.from_test else None
    if experiment.folds.validation_file:
        train, held_out = tables
        table = append_validation_rows(train, held_out, numbered_ids=not data.id)
    else:
        table = tables[0] if len(tables) == 1 else join_tables(tables, data.source_names)
    if experiment.folds.validation == DATA_SPLIT:
        _check_held_out(table, str(data.split))
    table = _with_scheme_factors(experiment, table, files[: len(tables)])
    if examples is None:
        return table
    examples = _with_scheme_factors(experiment, examples, files[len(tables) :])
    return append_examples(table, examples, experiment.folds)


def _with_scheme_factors(
    experiment: Experiment, table: Table, files: list[tuple[pd.DataFrame, str]]
) -> Table:
    """The table with what ``[sample_weights]`` says of its rows, which are those of the files."""
    if not experiment.sample_weights.scheme:
        return table
    factors = scheme_factors(experiment, table.labels, table.identities, files)
    return replace(table, scheme_factors=factors)


def read_training_files(experiment: Experiment) -> list[tuple[pd.DataFrame, str]]:
    """The columns that an experiment reads of its sources, its validation file and its test file.

    Returns:
        A frame of strings under the experiment's names, and its path. With ``data.split`` without
        the test rows, and the index are the row numbers in the file.

    Raises:
        InputError: a missing file or column, or a file without rows.
    """
    data = experiment.data
    task_columns = [task.row_weight for task in experiment.tasks if task.row_weight]
    task_columns += _pos_weight_columns(experiment).values()
    schemes, texts = experiment.sample_weights, data.text_columns
    spec = ColumnSpec(
        always=[c for c in (*(() if data.template else texts), data.id, data.split) if c],
        fields=texts if data.template else [],
        labels=experiment.file_columns,
        groups=[data.group] if data.group else [],
        weights=[c for c in (data.sample_weight, *task_columns, schemes.column) if c],
        annotations=[c for c in (*experiment.identities.columns, schemes.annotators) if c],
    )
    if data.group_sizes is not None:
        _refuse_unread_columns(experiment)
    paths = [source.path for source in data.sources]
    files = list(zip(read_sources(data, spec), paths, strict=True))
    if validation := experiment.folds.validation_file:
        files.append((read_data_columns(data, validation, spec.every), validation))
    if data.split:
        files = [leave_out_test_rows(frame, data.split, path) for frame, path in files]
    if data.from_test:
        test_rows = _read_prediction_rows(
            data, str(data.test), example_columns(data, spec), data.marks_test_rows(str(data.test))
        )
        files.append(collect_examples(test_rows, data, spec))
    return files


def read_prediction_table(
    experiment: Experiment,
    path: str,
    rename: dict[str, str] | None = None,
    without_ids: bool = False,
    is_split: bool = False,
) -> Table:
    """A table to predict: ids and texts. Label columns are not read.

    Args:
        experiment: names the columns.
        path: the file.
        rename: a column of the file to the name that the experiment has for it.
        without_ids: the file has no ids; rows are numbered from 0.
        is_split: the file has other rows, too, and its column ``data.split`` marks those to test.
            A training file is read so in any case.

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
    is_split = is_split or data.marks_test_rows(path)
    frame = _read_prediction_rows(data, path, [file_columns.get(c, c) for c in columns], is_split)
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


def _read_prediction_rows(
    data: Data, path: str, columns: list[str], is_split: bool
) -> pd.DataFrame:
    """The rows of a file to predict; where ``data.split`` divides it, the test rows."""
    if not is_split:
        return read_data_columns(data, path, columns)
    split = str(data.split)
    frame = read_data_columns(data, path, list(dict.fromkeys([*columns, split])))
    return select_test_rows(frame, split, path)[columns]


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
        labels=np.concatenate([values for values, _ in labels], axis=1).astype(np.float32),
        sample_weights=sample_weights,
        task_weights=task_weights,
        groups=frame[data.group].to_numpy(dtype=object) if data.group else None,
        identities=parse_identities(frame, experiment.identities.columns, path),
        pos_weights={
            task: parse_weights(frame, column, path)
            for task, column in _pos_weight_columns(experiment).items()
        },
        held_out=_held_out_rows(experiment, frame, path),
        notes=[note for _, notes in labels for note in notes],
    )


def _held_out_rows(experiment: Experiment, frame: pd.DataFrame, path: str) -> np.ndarray | None:
    """``(rows,)`` bool, the rows that ``data.split`` marks as dev, where they are held out."""
    if experiment.folds.validation != DATA_SPLIT:
        return None
    return parse_parts(frame[experiment.data.split], path) == DEV


def _check_held_out(table: Table, column: str) -> None:
    """Refuse a column that leaves no row to validate on, or none to train on."""
    assert table.held_out is not None, "data.split marks the rows"
    n_dev = int(table.held_out.sum())
    if n_dev in (0, len(table)):
        raise InputError(
            f"{table.path}: column {column!r} marks {'every' if n_dev else 'no'} row as {DEV}; "
            f"leave out folds.validation = {DATA_SPLIT!r}, and the rows are divided into folds"
        )


def _pos_weight_columns(experiment: Experiment) -> dict[str, str]:
    """Task name to the column of its positive weights, for tasks that name one."""
    return {t.name: t.pos_weight_column for t in experiment.tasks if t.pos_weight_column}


def _parse_ids(frame: pd.DataFrame, column: str, path: str) -> np.ndarray:
    """``(rows,)`` unique strings; the row numbers where ``column`` is empty."""
    if not column:
        return np.array([str(number) for number in frame.index], dtype=object)
    ids = frame[column].to_numpy(dtype=object)
    empty = np.flatnonzero(ids == "")
    if len(empty):
        raise InputError(f"{path}: column {column!r} is empty in row {empty[0] + 1}")
    check_unique_ids(ids, path)
    return ids


def _text_columns(frame: pd.DataFrame, columns: list[str]) -> list[Sequence[str]]:
    return [TextColumn.from_strings(frame[column]) for column in columns]


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
