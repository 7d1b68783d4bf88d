"""Metrics agree with scikit-learn, and an undefined one is None."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from auxfold.config import BinarySettings
from auxfold.tasks import KINDS, metrics
from auxfold.tasks.binary import BinaryTask


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(seed=st.integers(0, 10_000), n=st.integers(4, 200), levels=st.integers(1, 50))
def test_equal_to_scikit_learn_with_ties_and_missing(seed, n, levels):
    random = np.random.default_rng(seed)
    labels = random.random(n)
    labels[:2] = [0.0, 0.5]  # both classes; 0.5 counts as positive
    scores = random.integers(1, levels + 1, n) / (levels + 1)
    missing = np.concatenate([labels, [np.nan, np.nan]])
    hard = labels >= 0.5
    more = np.concatenate([scores, [0.9, 0.1]])
    assert metrics.roc_auc(missing, more) == pytest.approx(roc_auc_score(hard, scores), abs=1e-12)
    expected = average_precision_score(hard, scores)
    assert metrics.average_precision(missing, more) == pytest.approx(expected, abs=1e-12)
    assert metrics.log_loss(hard * 1.0, scores) == pytest.approx(log_loss(hard, scores), abs=1e-9)


def test_half_is_positive():
    assert metrics.roc_auc(np.array([0.5, 0.49]), np.array([0.9, 0.1])) == 1.0


def test_one_class_is_undefined_and_does_not_spread():
    labels = np.array([[1.0, 0.0], [0.0, 0.0]])
    task = BinaryTask(BinarySettings(name="t", kind="binary", columns=["a", "b"]))
    values = task.compute_metrics(labels, np.array([[0.9, 0.3], [0.1, 0.2]]))
    assert values["auc/b"] is None and values["ap/b"] is None
    assert values["auc/a"] == 1.0 and values["auc"] == 1.0
    assert metrics.roc_auc(np.array([np.nan]), np.array([0.5])) is None
    assert metrics.log_loss(np.array([np.nan]), np.array([0.5])) is None


def test_the_direction_of_a_metric_is_that_of_the_registry():
    assert metrics.higher_is_better("accuracy") and not metrics.higher_is_better("log_loss")
    assert not metrics.higher_is_better("task/log_loss")
    assert not metrics.higher_is_better("task/rmse/column")
    assert not metrics.higher_is_better("task/mcrmse")
    assert metrics.higher_is_better("jigsaw_bias/score"), "not of the registry"


@pytest.mark.parametrize("kind", KINDS.values())
def test_a_kind_has_the_metrics_that_it_shows_and_selects_by(kind):
    assert {kind.default_metric, *kind.headline} <= set(kind.metrics)


def test_a_name_has_one_direction_in_all_kinds():
    directions: dict[str, bool] = {}
    for kind in KINDS.values():
        for name, metric in kind.metrics.items():
            assert directions.setdefault(name, metric.higher_is_better) == metric.higher_is_better


def test_the_mean_is_over_the_defined_values():
    assert metrics.mean_defined([1.0, None, 2.0]) == 1.5
    assert metrics.mean_defined([None]) is None and metrics.mean_defined([]) is None
