"""Checks of all folds before the first one is trained: can each of them select its checkpoints?"""

from __future__ import annotations

import numpy as np

from auxfold.config.experiment import Experiment
from auxfold.data.table import Table
from auxfold.errors import InputError
from auxfold.evaluation.selection_metric import find_undefined_folds
from auxfold.storage.folds import check_fold
from auxfold.storage.run_folder import FULL, RunFolder
from auxfold.tasks import TaskSet
from auxfold.tasks.metrics.names import check_selection_metric_name
from auxfold.training.split import assign_folds, split_by_fold, stored_folds


def split_and_check(
    experiment: Experiment, tasks: TaskSet, table: Table, fold: int | str, plan: bool = False
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Indices of the rows to train on and to validate on, after a check of all folds.

    Args:
        experiment: what would be trained.
        tasks: all tasks of the experiment.
        table: the training table.
        fold: its number, or ``full``.
        plan: make folds that do not exist, without storing them.

    Returns:
        Both indices, and what a person should know, a line each.

    Raises:
        InputError: no such fold or metric, no folds or folds of other rows, or a fold on whose
            validation rows the metric is undefined, be it this one or another one.
    """
    check_selection_metric_name(experiment)
    if fold == FULL:
        return *split_by_fold(np.full(len(table), -1), fold), []
    check_fold(experiment, fold)
    is_stored = RunFolder.of(experiment).folds_info.exists() or not plan
    folds = stored_folds(experiment, table) if is_stored else assign_folds(experiment, tasks, table)
    undefined, note = check_selection(experiment, tasks, table, folds)
    is_concerned = plan or fold in undefined
    return *split_by_fold(folds, fold), [note] if note and is_concerned else []


def check_selection(
    experiment: Experiment, tasks: TaskSet, table: Table, folds: np.ndarray
) -> tuple[list[int], str | None]:
    """Refuse folds whose validation rows leave the metric undefined that selects checkpoints.

    Args:
        experiment: names the metric, and what it is for.
        tasks: all tasks of the experiment.
        table: the training table.
        folds: ``(rows,)`` the fold of each row, -1: only trained on.

    Returns:
        The folds where the metric is undefined although no checkpoint depends on it, and what a
        person should know about that.

    Raises:
        InputError: with the largest number of folds that works, where there is one.
    """
    undefined = find_undefined_folds(experiment, tasks, table, folds)
    if not undefined:
        return [], None
    problem = (
        f"selection.metric = {tasks.selection_metric!r} is undefined on the validation rows of "
        f"{_enumerate(undefined)} (they have only one class or one value)"
    )
    selection = experiment.selection
    if selection.keep != "best" and not selection.early_stopping:
        note = f"{problem}; no checkpoint depends on it, since selection.keep = {selection.keep!r}"
        return undefined, note
    keep_last = "selection.keep = 'last'"
    if selection.early_stopping:
        keep_last += " and selection.early_stopping = 0"
    raise InputError(
        f"{problem}; {_remedy(experiment, tasks, table)}choose another metric, or set {keep_last}, "
        f"which needs none"
    )


def _remedy(experiment: Experiment, tasks: TaskSet, table: Table) -> str:
    """What makes the metric defined on the rows of every fold; empty where nothing does."""
    if experiment.folds.validation is not None:
        return "validate on more rows, "
    for n_splits in range(experiment.folds.n_splits - 1, 1, -1):
        settings = experiment.folds.model_copy(update={"n_splits": n_splits})
        fewer = experiment.model_copy(update={"folds": settings})
        try:
            folds = assign_folds(fewer, tasks, table)
        except InputError:  # too few groups of rows
            continue
        if not find_undefined_folds(fewer, tasks, table, folds):
            return f"lower folds.n_splits to {n_splits}, "
    return ""


def _enumerate(folds: list[int]) -> str:
    *others, last = map(str, folds)
    return f"folds {', '.join(others)} and {last}" if others else f"fold {last}"
