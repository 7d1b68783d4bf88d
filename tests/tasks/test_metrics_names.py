"""The names of metrics are known from the settings alone, and are those that are computed."""

from __future__ import annotations

import numpy as np
import pytest

from auxfold.errors import InputError
from auxfold.tasks import TaskSet
from auxfold.tasks.metrics.names import check_selection_metric_name, list_metrics
from conftest import make_experiment

TASKS = [
    {"name": "main", "kind": "binary", "columns": ["toxic"], "main": True},
    {"name": "aux", "kind": "binary", "columns": ["insult", "threat"]},
    {"name": "topic", "kind": "multiclass", "columns": ["topic"], "classes": ["a", "b", "c", "d"]},
    {"name": "mood", "kind": "multiclass", "columns": ["mood"], "classes": 3},
    {"name": "stars", "kind": "ordinal", "columns": ["stars"], "classes": ["1", "2", "3"]},
    {"name": "score", "kind": "regression", "columns": ["x", "y"]},
]


def test_they_are_the_computed_ones():
    experiment = make_experiment("t.csv", "b", tasks=TASKS)
    tasks = TaskSet.from_experiment(experiment)
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, (40, len(experiment.label_columns))).astype(np.float32)
    predictions = {task.name: random.random((40, task.n_outputs)) for task in tasks}
    computed = tasks.compute_metrics(labels, predictions)
    assert sorted(list_metrics(experiment)) == sorted(computed)
    assert {"aux/auc/threat", "accuracy", "accuracy_std", "topic/top3", "score/mcrmse"} <= {
        *computed
    }


def test_an_unknown_one_is_refused_with_the_nearest(work_dir):
    def select(metric):
        check_selection_metric_name(
            make_experiment("t.csv", "b", tasks=TASKS, selection={"metric": metric})
        )

    for metric in ("main/auc", "aux/auc/threat", "accuracy", "score/mcrmse", None):
        select(metric)
    with pytest.raises(InputError, match="'main/acu' is unknown .did you mean 'main/auc'"):
        select("main/acu")
    with pytest.raises(InputError, match="'aux/auc/thread' is unknown .did you mean 'aux/auc/thr"):
        select("aux/auc/thread")
