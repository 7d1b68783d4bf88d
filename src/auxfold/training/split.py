"""Which rows a fold trains and validates on: the checked table and the stored folds."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np

from auxfold.config.experiment import Experiment
from auxfold.data.folds import make_folds, make_validation_split, stratified_sample_indices
from auxfold.data.loading import read_training_table
from auxfold.data.sample_weights import fit_sample_weights
from auxfold.data.table import Table
from auxfold.data.table_store import TableSource, open_table, store_table
from auxfold.errors import InputError
from auxfold.storage.folds import check_fold, folds_settings, read_folds, write_folds
from auxfold.storage.records import read_record
from auxfold.storage.run_folder import FULL, RunFolder
from auxfold.tasks import TaskSet


def load_training_table(
    experiment: Experiment,
    tasks: TaskSet | None = None,
    verify: bool = False,
    store: bool = True,
) -> Table:
    """The training table, or ``data.rows`` of it, with every task's labels checked.

    A run keeps a copy of the table. It is opened in place of the files as long as these, the
    settings that read them and the code are unchanged.

    Args:
        experiment: names the files and columns.
        tasks: its tasks; made from the experiment when left out.
        verify: read the files in any case.
        store: store the table, where the folder of the run exists.

    Raises:
        InputError: anything in the file that cannot be trained on.
    """
    folder = RunFolder.of(experiment)
    source = TableSource(experiment)
    table = None if verify else open_table(folder.table, source)
    if table is None:
        table = _read_checked_table(experiment, tasks or TaskSet.from_experiment(experiment))
        if store and folder.path.is_dir():
            store_table(folder.table, source, experiment, table)
    return table


def _read_checked_table(experiment: Experiment, tasks: TaskSet) -> Table:
    table = read_training_table(experiment)
    _check_labels(experiment, table, tasks)
    n = experiment.data.rows
    if n is None or n >= len(table):
        return table
    flags = stratification_flags(tasks, table)
    table = table.take(stratified_sample_indices(flags, n, experiment.seed))
    try:  # a rare auxiliary label may be missing in a trial
        _check_labels(experiment, table, tasks.subset([tasks.main.name]))
    except InputError as error:
        raise InputError(f"too few rows with data.rows = {n}: {error}") from None
    return table


def _check_labels(experiment: Experiment, table: Table, tasks: TaskSet) -> None:
    files = _rows_of_files(experiment, table)
    for task, columns in tasks.items():
        for path, indices in files:
            task.check_cells(table.labels[indices, columns], path)
        task.check_labels(table.labels[:, columns], table.path)


def _rows_of_files(experiment: Experiment, table: Table) -> list[tuple[str, np.ndarray]]:
    """The files that rows are from, each with the indices of its rows."""
    paths = [source.path for source in experiment.data.sources]
    numbers = np.zeros(len(table), dtype=int) if table.sources is None else table.sources
    if table.from_test is not None:
        numbers = np.where(table.from_test, len(paths), numbers)
        paths.append(experiment.data.examples_path)
    return [(path, np.flatnonzero(numbers == number)) for number, path in enumerate(paths)]


def stratification_flags(tasks: TaskSet, table: Table) -> np.ndarray:
    """``(rows, flags)``: what rows are stratified by: their labels and where they are from."""
    flags = [tasks.stratification_flags(table.labels)]
    if table.sources is not None:
        flags.append(table.sources[:, None] == np.unique(table.sources))
    if table.from_test is not None:
        flags.append(table.from_test[:, None])
    return np.concatenate([values.astype(flags[0].dtype) for values in flags], axis=1)


def all_negative_mask(
    experiment: Experiment, tasks: TaskSet, table: Table, indices: np.ndarray
) -> np.ndarray | None:
    """``(len(indices),)`` bool: the rows of which an epoch has ``train.negative_sample_rate``.

    These rows have binary labels, all of them zero, and no label of another kind. None where an
    epoch has all rows.

    Raises:
        InputError: a rate is set and there is no such row.
    """
    rate = experiment.train.negative_sample_rate
    if rate == 1.0:
        return None
    has_negatives = np.zeros(len(indices), dtype=bool)
    has_others = np.zeros(len(indices), dtype=bool)
    for task, columns in tasks.items():
        labels = table.labels[indices, columns]
        known = ~np.isnan(labels)
        if task.has_positive_class:
            has_negatives |= known.any(axis=1)
            has_others |= (known & (labels != 0)).any(axis=1)
        else:
            has_others |= known.any(axis=1)
    mask = has_negatives & ~has_others
    if not mask.any():
        raise InputError(
            f"train.negative_sample_rate = {rate:g}, but none of the {len(indices):,} rows to "
            f"train on has only binary labels that are 0; leave it out"
        )
    return mask


def folds_info(experiment: Experiment, table: Table) -> dict[str, Any]:
    """What folds are made from; stored next to them and compared on every later use."""
    return {"data_fingerprint": table.fingerprint(), **folds_settings(experiment)}


def create_folds(
    experiment: Experiment,
    overwrite: bool = False,
    tasks: TaskSet | None = None,
    verify: bool = False,
) -> tuple[Table, np.ndarray]:
    """Make and store the folds of an experiment; existing folds of the same rows are kept.

    Args:
        experiment: what the folds are for.
        overwrite: replace existing folds.
        tasks: its tasks; made from the experiment when left out.
        verify: read the files in any case.

    Returns:
        The table and the fold of each of its rows.

    Raises:
        InputError: bad input, or folds of other rows exist and ``overwrite`` is false.
    """
    tasks = TaskSet.from_experiment(experiment) if tasks is None else tasks
    folder = RunFolder.of(experiment)
    source = TableSource(experiment)
    table = load_training_table(experiment, tasks, verify)
    info = folds_info(experiment, table)
    if overwrite or not folder.folds_info.exists():  # it is written last: without it, no folds
        write_folds(folder, table.ids, assign_folds(experiment, tasks, table), info)
    if not folder.table.exists():  # before, there was no folder for it
        store_table(folder.table, source, experiment, table)
    accept_former_fingerprint(folder, experiment, table)
    return table, read_folds(folder, table.ids, experiment, table.fingerprint())


def stored_folds(experiment: Experiment, table: Table) -> np.ndarray:
    """``(rows,)`` the stored fold of each row.

    Raises:
        InputError: no folds made, folds of other rows or other settings, or folds from before
            weights were fitted on the rows to train on.
    """
    folder = RunFolder.of(experiment)
    if _has_former_fingerprint(folder, experiment, table):
        raise InputError(
            f"{folder.folds} is from a version that fitted [sample_weights] on validation rows, "
            f"too; folds that are trained now do not go with those: make new folds with "
            f"make_folds.py --overwrite and train every fold again"
        )
    return read_folds(folder, table.ids, experiment, table.fingerprint())


def accept_former_fingerprint(folder: RunFolder, experiment: Experiment, table: Table) -> None:
    """Let a table have the fingerprint that an earlier version gave to the same rows.

    Weights of ``[sample_weights]`` were once fitted on all rows and part of the fingerprint. What
    was trained with them can be scored and blended, but no other fold can be trained next to it.

    Args:
        folder: the run whose folds were made from the rows.
        experiment: the experiment that reads the table.
        table: takes the fingerprint over.
    """
    if _has_former_fingerprint(folder, experiment, table):
        print(
            f"note: {folder.path} is from a version that fitted [sample_weights] on validation "
            f"rows, too; train it again to be without that",
            file=sys.stderr,
        )
        table.set_fingerprint(read_record(folder.folds_info)["data_fingerprint"])


def _has_former_fingerprint(folder: RunFolder, experiment: Experiment, table: Table) -> bool:
    """Whether folds are of these rows, whose fingerprint held weights fitted on all of them."""
    if not table.scheme_factors or not folder.folds_info.is_file():
        return False
    stored = read_record(folder.folds_info)["data_fingerprint"]
    if stored == table.fingerprint():
        return False
    return stored == fit_sample_weights(experiment, table, np.arange(len(table))).fingerprint()


def split(experiment: Experiment, table: Table, fold: int | str) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the rows to train on and to validate on; ``"full"`` trains on all rows.

    Raises:
        InputError: no such fold, no folds made, or folds of other rows.
    """
    if fold == FULL:
        return split_by_fold(np.full(len(table), -1), fold)
    check_fold(experiment, fold)
    return split_by_fold(stored_folds(experiment, table), fold)


def split_by_fold(folds: np.ndarray, fold: int | str) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the rows that a fold trains on, and of those that it validates on.

    Args:
        folds: ``(rows,)`` the fold of each row, -1: only trained on.
        fold: its number, or ``full``, which trains on all rows.
    """
    held_out = np.zeros(len(folds), dtype=bool) if fold == FULL else folds == fold
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def assign_folds(experiment: Experiment, tasks: TaskSet, table: Table) -> np.ndarray:
    """``(rows,)`` the fold of each row, -1: only trained on, as the settings divide the rows.

    Rows from the test file are in no fold, and do not change the folds of other rows.

    Raises:
        InputError: too few groups of rows.
    """
    if table.from_test is not None:
        in_folds = np.flatnonzero(~table.from_test)
        folds = np.full(len(table), -1)
        rows = replace(table.take(in_folds), from_test=None)
        folds[in_folds] = assign_folds(experiment, tasks, rows)
        return folds
    if table.held_out is not None:
        return np.where(table.held_out, 0, -1)
    flags, settings = stratification_flags(tasks, table), folds_settings(experiment)
    grouping = (settings["group_duplicates"], settings["seed"])
    near_duplicates = settings["group_near_duplicates"]
    validation = experiment.folds.validation
    if validation is not None:
        assert not isinstance(validation, str), "the rows of a file or a column are held out"
        return make_validation_split(
            table, flags, validation, *grouping, near_duplicates=near_duplicates
        )
    return make_folds(
        table, flags, settings["n_splits"], *grouping, near_duplicates=near_duplicates
    )
