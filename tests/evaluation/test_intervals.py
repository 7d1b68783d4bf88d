"""Intervals of scores against known ones; those of areas are in test_delong.py."""

from __future__ import annotations

import numpy as np
import pytest

from auxfold.config.experiment import Experiment
from auxfold.evaluation import intervals
from auxfold.evaluation.intervals import MetricIntervals, main_metrics, plan_draws
from auxfold.tasks import TaskSet
from conftest import make_experiment
from fake_runs import make_labeled_table

MOOD = {"name": "mood", "kind": "multiclass", "columns": ["m"], "classes": ["a", "b"]}


def make(task: dict, labels: np.ndarray, metric: str) -> MetricIntervals:
    experiment: Experiment = make_experiment("t", "b", tasks=[task])
    folds = np.arange(len(labels)) % 2
    tasks = TaskSet.from_experiment(experiment)
    return MetricIntervals(experiment, tasks, make_labeled_table(labels), folds, metric)


def class_predictions(classes: np.ndarray) -> dict[str, np.ndarray]:
    return {"mood": np.eye(2)[classes]}


def test_the_interval_of_an_accuracy_is_that_of_a_share():
    labels = np.zeros(400)
    predicted = (np.arange(400) >= 320) * 1  # 80 % are right, in each fold
    interval = make(MOOD, labels, "mood/accuracy").interval(class_predictions(predicted))
    half = 1.96 * np.sqrt(0.8 * 0.2 / 400)
    assert interval["low"] == pytest.approx(0.8 - half, abs=0.006)
    assert interval["high"] == pytest.approx(0.8 + half, abs=0.006)
    assert {k: interval[k] for k in ("method", "draws", "rows")} == {
        "method": "bootstrap", "draws": 1000, "rows": 400
    }  # fmt: skip
    again = make(MOOD, labels, "mood/accuracy").interval(class_predictions(predicted))
    assert again == interval, "the seed is fixed"


def test_a_large_table_is_sampled_in_part(monkeypatch):
    monkeypatch.setattr(intervals, "MAX_CELLS", 200 * 2 * 100)
    labels = np.zeros(400)
    predicted = (np.arange(400) >= 320) * 1
    interval = make(MOOD, labels, "mood/accuracy").interval(class_predictions(predicted))
    assert (interval["draws"], interval["rows"]) == (200, 100)
    half = 1.96 * np.sqrt(0.8 * 0.2 / 400)
    assert interval["high"] - interval["low"] == pytest.approx(2 * half, rel=0.25)
    assert (interval["high"] + interval["low"]) / 2 == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [(1_000, 1, (1000, 1_000)), (100_000, 1, (500, 100_000)), (1_800_000, 1, (200, 250_000)),
     (40_000, 28, (200, 8_928))],
)  # fmt: skip
def test_the_work_is_bounded(rows, columns, expected):
    assert plan_draws(rows, columns) == expected


def test_rows_are_drawn_within_their_folds():
    """All rows of fold 0 are right and none of fold 1: the share of the folds is no chance."""
    labels = np.zeros(100)
    predicted = np.arange(100) % 2
    interval = make(MOOD, labels, "mood/accuracy").interval(class_predictions(predicted))
    assert interval["low"] == interval["high"] == 0.5


def test_gains_are_above_zero_where_the_run_is_better():
    labels = np.array([0.0, 1.0] * 100)
    task = {"name": "t", "kind": "binary", "columns": ["y"]}
    right, wrong = {"t": labels[:, None] * 0.8 + 0.1}, {"t": 0.9 - labels[:, None] * 0.8}
    constant = {"t": np.full((200, 1), 0.5)}
    baselines = {"constant": constant, "wrong": wrong, "same": right}
    loss = make(task, labels, "t/log_loss").gains(right, baselines)
    assert loss["constant"]["gain"] == pytest.approx(np.log(0.9) - np.log(0.5))
    assert loss["constant"]["low"] > 0
    assert loss["same"] == {"gain": 0, "low": 0, "high": 0}
    area = make(task, labels, "t/auc").gains(right, baselines)
    assert [area[name]["gain"] for name in baselines] == [0.5, 1.0, 0.0]


def test_an_undefined_baseline_is_left_out():
    labels = np.arange(20.0)
    task = {"name": "t", "kind": "regression", "columns": ["y"]}
    baselines = {"constant": {"t": np.ones((20, 1))}, "reverse": {"t": -labels[:, None]}}
    gains = make(task, labels, "t/spearman").gains({"t": labels[:, None]}, baselines)
    assert list(gains) == ["reverse"] and gains["reverse"]["gain"] == 2


def test_the_area_of_one_column_of_several():
    experiment = make_experiment("t", "b")
    tasks = TaskSet.from_experiment(experiment)
    random = np.random.default_rng(0)
    labels = (random.random((60, 3)) < 0.5).astype(np.float32)
    table = make_labeled_table(labels)
    predictions = {"main": random.random((60, 1)), "aux": random.random((60, 2))}
    folds = np.zeros(60, dtype=int)
    of = {
        name: MetricIntervals(experiment, tasks, table, folds, name).interval(predictions)
        for name in ("aux/auc", "aux/auc/insult", "aux/auc/threat")
    }
    assert all(interval["method"] == "delong" for interval in of.values())
    assert len({interval["low"] for interval in of.values()}) == 3


def test_the_main_metrics():
    tasks = TaskSet.from_experiment(make_experiment("t", "b", selection={"metric": "main/ap"}))
    assert main_metrics(tasks) == ["main/ap", "main/auc", "aux/auc"]
