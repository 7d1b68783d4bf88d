"""Whether the metric that selects checkpoints is defined on the rows that a fold validates on."""

from __future__ import annotations

import numpy as np

from auxfold.config.experiment import Experiment
from auxfold.data.table import Table
from auxfold.evaluation.score_function import ScoreFunction, create_score, select_scored_tasks
from auxfold.tasks import TaskSet

GUESSES = 8  # random predictions that are tried; a few of few rows can be of one class by chance


def find_undefined_folds(
    experiment: Experiment, tasks: TaskSet, table: Table, folds: np.ndarray
) -> list[int]:
    """The folds on whose validation rows the selection metric is undefined.

    Args:
        experiment: names the identities; its selection metric is one that it has.
        tasks: all tasks of the experiment.
        table: the training table.
        folds: ``(rows,)`` the fold of each row, -1: only trained on.
    """
    score = _create_selection_score(experiment, tasks, table)
    return [
        fold
        for fold in experiment.folds.names
        if not _is_defined(score, tasks, np.flatnonzero(folds == fold))
    ]


def _is_defined(score: ScoreFunction, tasks: TaskSet, indices: np.ndarray) -> bool:
    """Whether some predictions have the metric: constant ones may not, whatever the labels are."""
    for seed in range(GUESSES):
        random = np.random.default_rng(seed)
        guesses = {task.name: random.random((len(indices), task.n_outputs)) for task in tasks}
        if score(indices, guesses) is not None:
            return True
    return False


def _create_selection_score(experiment: Experiment, tasks: TaskSet, table: Table) -> ScoreFunction:
    metric = tasks.selection_metric
    if "/" in metric:
        scored = select_scored_tasks(experiment, tasks, metric)
        return create_score(experiment, table, scored, metric)

    def mean_over_tasks(indices: np.ndarray, predictions: dict[str, np.ndarray]) -> float | None:
        return tasks.compute_metrics(table.labels[indices], predictions)[metric]

    return mean_over_tasks
