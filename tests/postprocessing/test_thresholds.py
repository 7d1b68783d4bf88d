"""Thresholds are the best there are, and their gain is estimated without looking."""

from __future__ import annotations

import hypothesis
import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score

from auxfold.postprocessing.thresholds import (
    best_threshold,
    threshold_at_precision,
    tune_for_precision,
    tune_thresholds,
)
from auxfold.tasks import TaskSet
from conftest import make_experiment


@hypothesis.settings(max_examples=80, deadline=None)
@hypothesis.given(seed=st.integers(0, 10_000), n=st.integers(2, 60), levels=st.integers(1, 20))
def test_no_other_threshold_is_better(seed, n, levels):
    random = np.random.default_rng(seed)
    labels = np.append((random.random(n) < 0.3) * 1.0, [1.0, np.nan])
    scores = np.append(random.integers(0, levels + 1, n + 1) / levels, 0.5)
    threshold = best_threshold(labels, scores)
    truth, known = labels[:-1] >= 0.5, scores[:-1]
    positive = known >= np.append(known, 2.0)[:, None]  # with every cut that makes a difference
    best = 2 * (positive & truth).sum(axis=1) / (positive.sum(axis=1) + truth.sum())
    assert f1_score(truth, known >= threshold) == pytest.approx(best.max())


def test_a_threshold_lies_half_way_and_is_half_without_a_positive():
    assert best_threshold(np.array([1.0, 1, 0, 0]), np.array([0.9, 0.6, 0.2, 0.1])) == 0.4
    assert best_threshold(np.zeros(3), np.array([0.1, 0.2, 0.9])) == 0.5
    low, high = 0.5, np.nextafter(0.5, 1)
    assert best_threshold(np.array([1.0, 0.0]), np.array([high, low])) == high


def test_the_gain_is_that_of_thresholds_from_other_folds():
    """Fold 0's scores are shifted: its own threshold would be perfect, the other fold's is not."""
    task = {"name": "t", "kind": "binary", "columns": ["y"]}
    tasks = TaskSet.from_experiment(make_experiment("t", "b", tasks=[task]))
    labels = np.array([[1.0], [0.0], [1.0], [0.0]])
    oof = pd.DataFrame({"y": [0.3, 0.2, 0.9, 0.8]})
    tuned = tune_thresholds(tasks, labels, oof, np.array([0, 0, 1, 1]))
    assert tuned["f1"]["t"]["at_half"] == pytest.approx(2 / 4 * 1.0)
    # Fold 0 under 0.85: nothing is taken. Fold 1 under 0.25: everything is.
    assert tuned["f1"]["t"]["tuned"] == pytest.approx(2 * 1 / (2 + 2))
    assert tuned["values"]["y"] == pytest.approx(0.25)


def test_other_kinds_have_no_threshold():
    task = {"name": "t", "kind": "regression", "columns": ["y"]}
    tasks = TaskSet.from_experiment(make_experiment("t", "b", tasks=[task]))
    oof = pd.DataFrame({"y": [0.1, 0.2]})
    assert tune_thresholds(tasks, np.array([[1.0], [2.0]]), oof, np.array([0, 1])) == {}


@hypothesis.settings(max_examples=80, deadline=None)
@hypothesis.given(seed=st.integers(0, 10_000), target=st.sampled_from([0.2, 0.55, 0.7, 0.9, 1.0]))
def test_the_most_rows_that_are_found_at_a_precision(seed, target):
    random = np.random.default_rng(seed)
    labels = np.append((random.random(30) < 0.5) * 1.0, np.nan)
    scores = np.append(random.integers(0, 12, 30) / 12, 0.5)
    truth, known = labels[:-1] >= 0.5, scores[:-1]
    decisions = {cut: known >= cut for cut in np.unique(known)}
    precise = {c: t.sum() for c, t in decisions.items() if precision_score(truth, t) >= target}
    threshold = threshold_at_precision(labels, scores, target)
    if not precise:
        assert threshold is None
        return
    assert (known >= threshold).sum() == max(precise.values())
    assert precision_score(truth, known >= threshold) >= target


def test_a_precision_is_reached_exactly():
    """55 of 100: in floats 0.55 * 100 is more than 55."""
    labels = np.append(np.ones(55), np.zeros(45))
    assert threshold_at_precision(labels, np.full(100, 0.5), 0.55) == 0.25


def test_precision_and_recall_are_those_of_thresholds_from_other_folds():
    tasks = TaskSet.from_experiment(make_experiment("t", "b"))
    labels = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 1], [0, 1, 0]], dtype=float)
    oof = pd.DataFrame({"toxic": [0.6, 0.2, 0.9, 0.8], "insult": 0.5, "threat": [0.1, 0.2, 0.9, 0]})
    tuned = tune_for_precision(tasks, labels, oof, np.array([0, 0, 1, 1]), 1.0)
    # Fold 0 under 0.85 finds nothing; fold 1 under 0.4 takes both rows, one of them rightly.
    assert tuned["nested"]["toxic"] == {"precision": 0.5, "recall": 0.5}
    assert tuned["values"]["toxic"] == pytest.approx(0.85)
    assert tuned["values"]["insult"] is None, "no threshold tells equal scores apart"
    assert tuned["nested"]["insult"] == {"precision": None, "recall": 0.0}
    # Fold 0 has no positive row of it, so that fold 1 is never answered with yes.
    assert tuned["nested"]["threat"] == {"precision": None, "recall": 0.0}
