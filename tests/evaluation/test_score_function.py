"""The score of a blend is the metric of the first run's experiment."""

from __future__ import annotations

import numpy as np
import pytest

from auxfold.blending.candidates import join_members
from auxfold.blending.members import Member
from auxfold.data.loading import read_training_table
from auxfold.errors import InputError
from auxfold.evaluation.score_function import create_score, select_scored_tasks
from auxfold.fairness.jigsaw_bias import jigsaw_bias
from auxfold.tasks import Task, TaskSet
from auxfold.training.split import create_folds
from conftest import make_experiment, make_frame
from fake_runs import write_fake_run


def test_every_metric_is_that_of_all_metrics_and_one_column_costs_one(work_dir, monkeypatch):
    """A search of blends calls it hundreds of times."""
    experiment = make_experiment("train.csv", "b")
    table, tasks = read_training_table(experiment), TaskSet.from_experiment(experiment)
    random, half = np.random.default_rng(0), np.arange(0, 60, 2)
    predictions = {task.name: random.random((30, task.n_outputs)) for task in tasks}
    expected = tasks.compute_metrics(table.labels[half], predictions)
    assert {"main/auc", "aux/auc", "aux/auc/insult", "aux/kappa/threat"} <= expected.keys()
    for metric, value in expected.items():
        scored = select_scored_tasks(experiment, tasks, metric)
        assert create_score(experiment, table, scored, metric)(half, predictions) == value, metric
    monkeypatch.setattr(Task, "compute_metrics", None)
    (aux,) = (task for task in tasks if task.name == "aux")
    score = create_score(experiment, table, tasks.subset(["aux"]), "aux/auc/insult")
    assert score(half, {"aux": predictions["aux"]}) == aux.metrics["auc"](
        table.labels[half, 1], predictions["aux"][:, 0]
    )


def test_the_bias_metric_of_the_first_runs_identities_is_blended(work_dir, backbone):
    frame = make_frame(80).assign(black=lambda f: (f.index % 3 == 0) * 1.0)
    frame.to_csv("train.csv", index=False)
    runs = []
    for number, noise in enumerate((1.0, 2.0)):
        identities = {"identities": {"columns": ["black"]}} if number == 0 else {}
        experiment = make_experiment("train.csv", backbone, name=f"r{number}", **identities)
        write_fake_run(experiment, noise, seed=number)
        runs.append(Member.load(f"r{number}"))
    table, folds = create_folds(runs[0].experiment)
    candidates = join_members(runs, table, folds, "jigsaw_bias/score")
    assert [task.name for task in candidates.tasks] == ["main"]
    half = np.arange(0, 80, 2)
    mean = candidates.predictions["main"].mean(axis=0)[half]
    bias = jigsaw_bias(table.labels[half, 0], mean[:, 0], table.identities[half], ["black"])
    assert candidates.score(half, {"main": mean}) == pytest.approx(bias.score)
    assert bias.score is not None
    with pytest.raises(InputError, match="jigsaw_bias/score is unknown"):
        join_members(runs[::-1], table, folds, "jigsaw_bias/score")
