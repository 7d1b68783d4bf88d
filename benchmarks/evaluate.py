"""Seconds of what ``auxfold evaluate`` computes out of fold, on generated predictions.

The baseline of the metrics is scikit-learn, called once for every metric, column and fold; both
agree.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from auxfold.config.experiment import experiment_from_dict
from auxfold.data.table import Table
from auxfold.evaluation.cross_validation import out_of_fold_scores
from auxfold.evaluation.intervals import MetricIntervals
from auxfold.postprocessing.calibration import fit_calibrators
from auxfold.postprocessing.thresholds import tune_thresholds
from auxfold.tasks import TaskSet
from benchmarks.experiment import LABELS, N_LABELS, experiment_content
from benchmarks.metric import BASELINES, TOLERANCE, generate_scores
from benchmarks.parts import Part, run_parts
from benchmarks.rows import make_table

EXAMPLES = """  python -m benchmarks evaluate
  python -m benchmarks evaluate --rows 1800000 --json
"""
N_FOLDS = 5


def main(argv: list[str] | None = None) -> None:
    """Check that both agree, measure and publish."""
    run_parts("evaluate", (__doc__ or "", EXAMPLES), make_parts, argv)


def make_parts(n_rows: int, seed: int) -> list[Part]:
    """What is timed.

    Raises:
        AssertionError: a metric of ours is not that of scikit-learn.
    """
    experiment = experiment_from_dict(experiment_content("embedded"), "benchmark")
    tasks = TaskSet.from_experiment(experiment)
    table, oof, folds = generate_oof(tasks, n_rows, seed)
    ours, theirs = (
        out_of_fold_scores(tasks, table, oof, folds)["oof"],
        naive_scores(tasks, table, oof, np.full(n_rows, -1)),
    )
    for name, value in theirs.items():
        if abs(ours[name] - value) > TOLERANCE:
            raise AssertionError(f"{name} is {ours[name]}, but {value} according to scikit-learn")
    predictions = {task.name: oof[task.prediction_columns].to_numpy() for task in tasks}
    intervals = MetricIntervals(experiment, tasks, table, folds, "main/auc")
    return [
        Part(
            "metrics of all rows and of every fold",
            lambda: out_of_fold_scores(tasks, table, oof, folds),
            "scikit-learn",
            lambda: naive_scores(tasks, table, oof, folds),
        ),
        Part("interval of an AUC", lambda: intervals.interval(predictions)),
        Part("thresholds", lambda: tune_thresholds(tasks, table.labels, oof, folds)),
        Part("calibration", lambda: fit_calibrators(tasks, table.labels, oof)),
    ]


def make_scoring(n_rows: int, seed: int) -> Callable[[], object]:
    """What computes the metrics of all rows and of every fold."""
    tasks = TaskSet.from_experiment(
        experiment_from_dict(experiment_content("embedded"), "benchmark")
    )
    table, oof, folds = generate_oof(tasks, n_rows, seed)
    return lambda: out_of_fold_scores(tasks, table, oof, folds)


def generate_oof(tasks: TaskSet, n_rows: int, seed: int) -> tuple[Table, pd.DataFrame, np.ndarray]:
    """A table without texts, predictions of all its labels, and folds."""
    table = make_table([""] * n_rows, N_LABELS, seed)
    frame = {}
    columns = [column for task in tasks for column in task.prediction_columns]
    for number, column in enumerate(columns):
        table.labels[:, number], frame[column] = generate_scores(n_rows, seed + number)
    folds = np.random.default_rng(seed).permutation(np.arange(n_rows) % N_FOLDS)
    return table, pd.DataFrame(frame), folds


def naive_scores(
    tasks: TaskSet, table: Table, oof: pd.DataFrame, folds: np.ndarray
) -> dict[str, float]:
    """The mean over a task's columns of every metric, of all rows and then of every fold.

    Returns:
        Those of all rows, as in ``cv.json``.
    """
    scores: dict[str, float] = {}
    for fold in range(int(folds.max()), -2, -1):  # -1 for all rows, last
        mask = np.ones(len(folds), dtype=bool) if fold == -1 else folds == fold
        for task in tasks:
            columns = [LABELS.index(name) for name in task.settings.label_columns]
            for metric, function in BASELINES.items():
                values = [
                    function(table.labels[mask, column], oof.iloc[:, column].to_numpy()[mask])
                    for column in columns
                ]
                scores[f"{task.name}/{metric}"] = float(np.mean(values))
    return scores
