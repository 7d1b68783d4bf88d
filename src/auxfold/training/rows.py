"""Which rows a fold trains and validates on: the checked table and the stored folds."""

from __future__ import annotations

from typing import Any

import numpy as np

from auxfold.data.folds import draw_rows, make_folds
from auxfold.data.table import Table, read_train
from auxfold.errors import InputError
from auxfold.experiment import Experiment
from auxfold.run_folder import FULL, RunFolder, read_folds, write_folds
from auxfold.tasks import Task, label_slices, make_tasks, strata


def checked_table(experiment: Experiment) -> Table:
    """The training table, or ``data.rows`` of it, with every task's labels checked.

    Raises:
        InputError: anything in the file that cannot be trained on.
    """
    table, tasks = read_train(experiment), make_tasks(experiment)
    _check(table, tasks)
    n = experiment.data.rows
    if n is None or n >= len(table):
        return table
    table = table.take(draw_rows(strata(tasks, table.labels), n, experiment.seed))
    try:  # a rare auxiliary label may be missing in a trial
        _check(table, tasks, experiment.main_task.name)
    except InputError as error:
        raise InputError(f"too few rows with data.rows = {n}: {error}") from None
    return table


def _check(table: Table, tasks: list[Task], name: str | None = None) -> None:
    for task, columns in label_slices(tasks):
        if name in (None, task.name):
            task.check_labels(table.labels[:, columns], table.path)


def folds_info(experiment: Experiment, table: Table) -> dict[str, Any]:
    """What folds are made from; stored beside them and compared on every later use."""
    return {
        "data_fingerprint": table.fingerprint(),
        "n_splits": experiment.folds.n_splits,
        "group_duplicates": experiment.folds.group_duplicates,
        "group": experiment.data.group,
        "seed": experiment.folds.seed if experiment.folds.seed is not None else experiment.seed,
    }


def create_folds(experiment: Experiment, overwrite: bool = False) -> tuple[Table, np.ndarray]:
    """Make and store the folds of an experiment; existing folds of the same rows are kept.

    Returns:
        The table and the fold of each of its rows.

    Raises:
        InputError: bad input, or folds of other rows exist and ``overwrite`` is false.
    """
    folder = RunFolder.of(experiment)
    table = checked_table(experiment)
    info = folds_info(experiment, table)
    if overwrite or not folder.folds_info.exists():  # written last: without it, no folds
        write_folds(folder, table.ids, _make(experiment, table, info), info)
    return table, read_folds(folder, table.ids, info)


def planned_split(
    experiment: Experiment, table: Table, fold: int | str
) -> tuple[np.ndarray, np.ndarray]:
    """As :func:`split`; folds that are not made yet are made, and not stored."""
    if fold == FULL or RunFolder.of(experiment).folds_info.exists():
        return split(experiment, table, fold)
    _check_fold(experiment, fold)
    folds = _make(experiment, table, folds_info(experiment, table))
    return np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)


def split(experiment: Experiment, table: Table, fold: int | str) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers to train on and to validate on; ``"full"`` trains on all rows.

    Raises:
        InputError: no such fold, no folds made, or folds of other rows.
    """
    if fold == FULL:
        return np.arange(len(table)), np.arange(0)
    _check_fold(experiment, fold)
    folds = read_folds(RunFolder.of(experiment), table.ids, folds_info(experiment, table))
    return np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)


def _check_fold(experiment: Experiment, fold: int | str) -> None:
    n_splits = experiment.folds.n_splits
    if fold not in range(n_splits):
        raise InputError(f"--fold {fold}: folds are 0 to {n_splits - 1}, or 'all', or 'full'")


def _make(experiment: Experiment, table: Table, info: dict[str, Any]) -> np.ndarray:
    flags = strata(make_tasks(experiment), table.labels)
    return make_folds(table, flags, info["n_splits"], info["group_duplicates"], info["seed"])
