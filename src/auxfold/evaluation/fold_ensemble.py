"""The fold ensemble against its single folds, on test rows that none of them was trained on."""

from __future__ import annotations

from itertools import combinations
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
from auxfold.tasks import TaskSet
from auxfold.tasks.metrics import class_numbers

MAX_SUBSETS = 10  # of each number of folds, how many are averaged and scored


def score_fold_ensembles(experiment: Experiment, tasks: TaskSet) -> dict[str, Any] | None:
    """The scores of one fold, of two averaged folds, …, of all of them, on the test rows.

    Needs ``data.test_labels`` and the predictions of every fold, which ``scripts/inference.py``
    leaves next to the submission. Without them the result is None.

    Returns:
        ``metric`` (the main task's default, of its first column), ``rows`` (how many are scored)
        and ``scores``: number of averaged folds to the scores of up to ten choices of that many.
    """
    labels_path, by_fold = experiment.data.test_labels, RunFolder.of(experiment).test_by_fold
    if labels_path is None or not by_fold.is_file():
        return None
    task = tasks.main
    target, id_column = task.settings.targets[0], experiment.data.id_column
    columns = task.for_column(target).settings.label_columns
    frame = pd.read_parquet(by_fold)
    labels = read_columns(labels_path)
    if experiment.data.marks_test_rows(labels_path):
        labels = select_test_rows(labels, str(experiment.data.split), labels_path)
    labels = match_label_columns(labels, columns, experiment.data, labels_path)
    labels, _ = expand_label_cells(labels, experiment, labels_path)
    ids = labels[id_column]
    check_prediction_ids(ids, frame.loc[frame["fold"] == "0", id_column], labels_path, str(by_fold))
    truth = parse_released_labels(task, target, labels, labels_path)
    folds = [
        rows.set_index(id_column).loc[ids, task.prediction_columns].to_numpy()
        for _, rows in frame.groupby("fold")
    ]
    metric = task.metrics[task.default_metric]
    scores = {}
    for count in range(1, len(folds) + 1):
        subsets = list(combinations(folds, count))[:MAX_SUBSETS]
        means = (task.column_predictions(np.mean(subset, axis=0), 0) for subset in subsets)
        scores[str(count)] = [metric(truth, mean) for mean in means]
    name = f"{task.name}/{task.default_metric}"
    return {"metric": name, "rows": int((~np.isnan(class_numbers(truth))).sum()), "scores": scores}
