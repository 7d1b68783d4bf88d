"""The fold ensemble, its single folds and their soup, on test rows that none was trained on."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auxfold.config.experiment import Experiment
from auxfold.data.files import read_columns
from auxfold.data.parts import select_test_rows
from auxfold.evaluation.labeled_predictions import (
    check_prediction_ids,
    expand_label_cells,
    match_label_columns,
    parse_released_labels,
)
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import Task, TaskSet
from auxfold.tasks.metrics import class_numbers

MAX_SUBSETS = 10  # of each number of folds, how many are averaged and scored


def score_fold_ensembles(experiment: Experiment, tasks: TaskSet) -> dict[str, Any] | None:
    """The scores of one fold, of two averaged folds, …, of all of them, on the test rows.

    Needs ``data.test_labels`` and the predictions of every fold, which ``scripts/inference.py``
    leaves next to the submission, or those of a soup (``inference.average = "soup"``). Without
    them the result is None.

    Returns:
        ``metric`` (the main task's default, of its first column), ``rows`` (how many are scored),
        ``scores``: number of averaged folds to the scores of up to ten choices of that many, and
        ``soup``: the score of the mean of the folds' weights. Each where it is predicted.
    """
    labels_path, run_folder = experiment.data.test_labels, RunFolder.of(experiment)
    paths = [run_folder.test_by_fold, run_folder.test_by_soup]
    if labels_path is None or not any(path.is_file() for path in paths):
        return None
    task = tasks.main
    target, id_column = task.settings.targets[0], experiment.data.id_column
    metric = task.metrics[task.default_metric]
    ids, truth = _read_truth(experiment, task, target, labels_path)

    def predictions_of(frame: pd.DataFrame, path: Path) -> np.ndarray:
        check_prediction_ids(ids, frame[id_column], labels_path, str(path))
        return frame.set_index(id_column).loc[ids, task.prediction_columns].to_numpy()

    def score(predictions: np.ndarray) -> float | None:
        return metric(truth, task.column_predictions(predictions, 0))

    n_rows = int((~np.isnan(class_numbers(truth))).sum())
    name, scores = f"{task.name}/{task.default_metric}", {}
    by_fold, by_soup = paths
    if by_fold.is_file():
        frames = pd.read_parquet(by_fold).groupby("fold")
        folds = [predictions_of(frame, by_fold) for _, frame in frames]
        for count in range(1, len(folds) + 1):
            subsets = list(combinations(folds, count))[:MAX_SUBSETS]
            scores[str(count)] = [score(np.mean(subset, axis=0)) for subset in subsets]
    record = {"metric": name, "rows": n_rows, "scores": scores}
    if by_soup.is_file():
        record["soup"] = score(predictions_of(pd.read_parquet(by_soup), by_soup))
    return record


def _read_truth(
    experiment: Experiment, task: Task, target: str, labels_path: str
) -> tuple[pd.Series, np.ndarray]:
    """The ids and the labels of the test rows."""
    columns = task.for_column(target).settings.label_columns
    labels = read_columns(labels_path)
    if experiment.data.marks_test_rows(labels_path):
        labels = select_test_rows(labels, str(experiment.data.split), labels_path)
    labels = match_label_columns(labels, columns, experiment.data, labels_path)
    labels, _ = expand_label_cells(labels, experiment, labels_path)
    truth = parse_released_labels(task, target, labels, labels_path)
    return labels[experiment.data.id_column], truth
