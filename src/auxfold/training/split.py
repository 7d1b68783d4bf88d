"""Which rows a fold trains and validates on: the checked table and the stored folds."""

from __future__ import annotations

from typing import Any

import numpy as np

from auxfold.config.experiment import Experiment
from auxfold.data.folds import draw_rows, make_folds, one_split
from auxfold.data.table import Table, read_train
from auxfold.errors import InputError
from auxfold.storage.run_folder import FULL, RunFolder, read_folds, write_folds
from auxfold.tasks import Task, label_slices, make_tasks, strata


def load_training_table(experiment: Experiment) -> Table:
    """The training table, or ``data.rows`` of it, with every task's labels checked.

    Raises:
        InputError: anything in the file that cannot be trained on.
    """
    table, tasks = read_train(experiment), make_tasks(experiment)
    paths = [source.path for source in experiment.data.sources]
    _check(table, tasks, paths)
    n = experiment.data.rows
    if n is None or n >= len(table):
        return table
    table = table.take(draw_rows(flags(tasks, table), n, experiment.seed))
    try:  # a rare auxiliary label may be missing in a trial
        _check(table, tasks, paths, experiment.main_task.name)
    except InputError as error:
        raise InputError(f"too few rows with data.rows = {n}: {error}") from None
    return table


def _check(table: Table, tasks: list[Task], paths: list[str], name: str | None = None) -> None:
    for task, columns in label_slices(tasks):
        if name in (None, task.name):
            for path, rows in zip(paths, _rows_of_sources(table, len(paths)), strict=True):
                task.check_cells(table.labels[rows, columns], path)
            task.check_labels(table.labels[:, columns], table.path)


def _rows_of_sources(table: Table, n: int) -> list[np.ndarray]:
    sources = np.zeros(len(table), dtype=int) if table.sources is None else table.sources
    return [np.flatnonzero(sources == number) for number in range(n)]


def flags(tasks: list[Task], table: Table) -> np.ndarray:
    """``(rows, flags)``: what folds are stratified by: labels, and of several sources which."""
    made = strata(tasks, table.labels)
    if table.sources is None:
        return made
    numbers = np.unique(table.sources)
    return np.concatenate([made, (table.sources[:, None] == numbers).astype(made.dtype)], axis=1)


def all_negative_mask(experiment: Experiment, table: Table, rows: np.ndarray) -> np.ndarray | None:
    """``(len(rows),)`` bool: of which rows an epoch has ``train.negative_sample_rate``; None: of none.

    Those that have binary labels, all of them zero, and no label of another kind.

    Raises:
        InputError: a share is asked for and there is no such row.
    """
    share = experiment.train.negative_sample_rate
    if share == 1.0:
        return None
    found = np.zeros(len(rows), dtype=bool)
    other = np.zeros(len(rows), dtype=bool)
    for task, columns in label_slices(make_tasks(experiment)):
        labels = table.labels[rows, columns]
        known = ~np.isnan(labels)
        if task.settings.kind == "binary":
            found |= known.any(axis=1)
            other |= (known & (labels != 0)).any(axis=1)
        else:
            other |= known.any(axis=1)
    found &= ~other
    if not found.any():
        raise InputError(
            f"train.negative_sample_rate = {share:g}, but in none of the {len(rows):,} rows to train on "
            f"are all binary labels 0; leave it out"
        )
    return found


def folds_info(experiment: Experiment, table: Table) -> dict[str, Any]:
    """What folds are made from; stored beside them and compared on every later use."""
    return {
        "data_fingerprint": table.fingerprint(),
        "n_splits": experiment.folds.n_splits,
        "group_duplicates": experiment.folds.group_duplicates,
        "group": experiment.data.group,
        "validation": _told(experiment.folds.validation),
        "seed": experiment.folds.seed if experiment.folds.seed is not None else experiment.seed,
    }


def _told(validation: str | float | int | None) -> float | int | str | None:
    # Of a file its rows count, which are in the data's fingerprint.
    return "file" if isinstance(validation, str) else validation


def create_folds(experiment: Experiment, overwrite: bool = False) -> tuple[Table, np.ndarray]:
    """Make and store the folds of an experiment; existing folds of the same rows are kept.

    Returns:
        The table and the fold of each of its rows.

    Raises:
        InputError: bad input, or folds of other rows exist and ``overwrite`` is false.
    """
    folder = RunFolder.of(experiment)
    table = load_training_table(experiment)
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
    names = experiment.folds.names
    if fold not in names:
        told = "the one split is fold 0" if len(names) == 1 else f"folds are 0 to {names[-1]}"
        raise InputError(f"--fold {fold}: {told}; or 'all', or 'full'")


def _make(experiment: Experiment, table: Table, info: dict[str, Any]) -> np.ndarray:
    wanted, validation = flags(make_tasks(experiment), table), experiment.folds.validation
    if table.held_out is not None:
        return np.where(table.held_out, 0, -1)
    if validation is not None:
        return one_split(table, wanted, validation, info["group_duplicates"], info["seed"])
    return make_folds(table, wanted, info["n_splits"], info["group_duplicates"], info["seed"])
