"""Cut points are at their best places, and their gain is estimated without looking."""

from __future__ import annotations

import hypothesis
import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st

from auxfold.postprocessing.cut_points import (
    apply_cut_points,
    best_cut_points,
    class_scores,
    decide_nested,
    tune_cut_points,
)
from auxfold.postprocessing.fitting import evaluate_postprocess, fit_postprocess
from auxfold.tasks import TaskSet
from auxfold.tasks.metrics import quadratic_kappa
from conftest import make_experiment

STARS = {"name": "stars", "kind": "ordinal", "columns": ["y"], "classes": ["bad", "fair", "good"]}
SCORE = {"name": "score", "kind": "regression", "columns": ["y"]}


def make_tasks(task: dict, **sections: object) -> TaskSet:
    return TaskSet.from_experiment(make_experiment("t", "b", tasks=[task], **sections))


def kappa_at(labels: np.ndarray, scores: np.ndarray, cut_points: np.ndarray) -> float:
    value = quadratic_kappa(labels, np.searchsorted(cut_points, scores, side="right"))
    return 0.0 if value is None else value


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(seed=st.integers(0, 10_000), n=st.integers(3, 40), levels=st.integers(2, 30))
def test_no_cut_point_has_a_better_place(seed, n, levels):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, n).astype(float)
    scores = np.round(levels * (labels / 3 + random.normal(0, 0.5, n))) / levels * 2
    cut_points = best_cut_points(labels, scores, 4)
    assert (np.diff(cut_points) >= 0).all()
    best = kappa_at(labels, scores, cut_points)
    assert best >= kappa_at(labels, scores, np.array([0.5, 1.5, 2.5])) - 1e-12
    for index in range(3):
        lower = cut_points[index - 1] if index else -np.inf
        upper = cut_points[index + 1] if index < 2 else np.inf
        for position in [*scores, scores.max() + 1]:
            moved = cut_points.copy()
            moved[index] = np.clip(position, lower, upper)
            assert kappa_at(labels, scores, moved) <= best + 1e-12


def test_cut_points_lie_half_way_between_scores():
    labels, scores = np.array([0.0, 0, 1, 2, np.nan]), np.array([0.1, 0.2, 0.4, 0.8, 0.3])
    np.testing.assert_allclose(best_cut_points(labels, scores, 3), [0.3, 0.6])
    np.testing.assert_allclose(best_cut_points(np.array([np.nan]), np.array([2.0]), 3), [0.5, 1.5])


def test_a_class_without_rows_may_have_no_room():
    labels, scores = np.array([0.0, 0, 2, 2]), np.array([0.1, 0.2, 0.6, 0.8])
    cut_points = best_cut_points(labels, scores, 3)
    assert np.searchsorted(cut_points, scores, side="right").tolist() == [0, 0, 2, 2]


def test_scores_and_decisions_of_classes_by_hand():
    task = make_tasks(STARS).main
    predictions = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.2, 0.6, 0.2]])
    np.testing.assert_allclose(class_scores(task, predictions), [0.7, 1.6, 1.0])
    decided = apply_cut_points(task, predictions, lowest=0.0, cut_points=[0.8, 1.5])
    assert decided.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_decisions_of_a_regression_are_numbers():
    task = make_tasks(SCORE).main
    decided = apply_cut_points(task, np.array([[0.2], [3.3], [9.0]]), lowest=2.0, cut_points=[3, 4])
    assert decided.tolist() == [[2], [3], [4]]


def test_each_row_is_decided_by_the_cut_points_of_the_other_folds():
    labels = np.array([0.0, 1, 0, 1])
    scores, folds = np.array([0.1, 0.3, 0.7, 0.9]), np.array([0, 0, 1, 1])
    # Fold 0 is cut at 0.8, fold 1 at 0.2: all of the one are below, all of the other above.
    assert decide_nested(labels, scores, folds, 2).tolist() == [0, 0, 1, 1]


def test_the_record_of_an_ordinal_task():
    tasks = make_tasks(STARS)
    labels = np.array([[0.0], [1.0], [2.0], [0.0], [1.0], [2.0]])
    shares = np.array([[6, 3, 1], [5, 3, 2], [1, 4, 5]] * 2) / 10  # numbers 0.5, 0.7, 1.4
    oof = pd.DataFrame(shares, columns=["y_bad", "y_fair", "y_good"])
    folds = np.array([0, 0, 0, 1, 1, 1])
    record = evaluate_postprocess(tasks, labels, oof, folds)
    tuned = record["cut_points"]
    assert tuned["values"]["y"]["lowest"] == 0
    assert tuned["values"]["y"]["cut_points"] == pytest.approx([0.6, 1.05])
    # The likeliest classes are 0, 0 and 2.
    predicted = np.array([0, 0, 2] * 2)
    assert tuned["qwk"]["stars"]["untuned"] == quadratic_kappa(labels[:, 0], predicted)
    assert tuned["qwk"]["stars"]["tuned"] == 1.0
    stored = fit_postprocess(tasks, labels, oof, record)["y"]
    assert stored["thresholds"] == {"qwk": tuned["values"]["y"]}
    single = tune_cut_points(tasks, labels, oof, np.zeros(6))
    assert single["qwk"]["stars"]["tuned"] is None


def test_a_regression_has_cut_points_only_where_qwk_selects():
    labels, folds = (
        np.array([[1.0], [2.0], [3.0], [1.0], [2.0], [3.0]]),
        np.array([0, 0, 0, 1, 1, 1]),
    )
    oof = pd.DataFrame({"y": [1.9, 2.1, 2.2, 1.9, 2.1, 2.2]})
    assert tune_cut_points(make_tasks(SCORE), labels, oof, folds) == {}
    tasks = make_tasks(SCORE, selection={"metric": "score/qwk"})
    tuned = tune_cut_points(tasks, labels, oof, folds)
    assert tuned["values"]["y"]["lowest"] == 1
    assert tuned["values"]["y"]["cut_points"] == pytest.approx([2.0, 2.15])
    assert tuned["qwk"]["score"]["tuned"] == 1.0
    assert tuned["qwk"]["score"]["untuned"] == 0.0, "all of them are 2"
    assert tune_cut_points(tasks, labels + 0.5, oof, folds) == {}, "no whole numbers"
