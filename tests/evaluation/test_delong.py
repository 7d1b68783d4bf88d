"""Areas and their variance against numbers computed by hand, and against resampling."""

from __future__ import annotations

import numpy as np
import pytest

from auxfold.evaluation.delong import mean_area
from auxfold.tasks.metrics import roc_auc

NAN = np.nan


def variance(area) -> float:
    return float((area.contributions**2).sum())


def test_the_variance_by_hand():
    """Positive rows win 1 and 1/2 of their pairs, negative rows lose 1/2 and 1 of theirs."""
    labels, scores = np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.9, 0.4, 0.5, 0.1])
    area = mean_area([(labels, scores)])
    assert area.value == 0.75 == roc_auc(labels, scores)
    # The sample variance of (1, 1/2) is 1/8, for each class divided by its two rows.
    assert variance(area) == pytest.approx(1 / 16 + 1 / 16)
    low, high = area.interval()
    half = 1.959964 * np.sqrt(1 / 8) / (0.75 * 0.25)
    assert low == pytest.approx(1 / (1 + np.exp(-(np.log(3) - half))))
    assert high == pytest.approx(1 / (1 + np.exp(-(np.log(3) + half))))
    assert 0 < low < 0.75 < high < 1


def test_ties_count_one_half_and_unlabeled_rows_nothing():
    labels, scores = np.array([0.5, 1.0, 0.4, 0.0, NAN]), np.array([2.0, 3.0, 2.0, 1.0, 9.0])
    area = mean_area([(labels, scores)])
    assert area.value == roc_auc(labels, scores) == 3.5 / 4
    assert area.contributions[-1] == 0
    # Wins of positives 3/4 and 1; of negatives 3/4 and 1: variances 1/32, divided by two rows.
    assert variance(area) == pytest.approx(1 / 64 + 1 / 64)


def test_a_mean_of_columns_knows_that_they_share_rows():
    labels, scores = np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.9, 0.4, 0.5, 0.1])
    single, twice = mean_area([(labels, scores)]), mean_area([(labels, scores)] * 2)
    assert variance(twice) == pytest.approx(variance(single)), "the same rows, no more certain"
    all_negative = (np.zeros(4), scores)
    assert mean_area([(labels, scores), all_negative]).value == single.value
    assert mean_area([all_negative]) is None
    one_positive = (np.array([1.0, 0.0, 0.0, 0.0]), scores)
    assert mean_area([(labels, scores), one_positive]) is None, "one row has no variance"


def test_a_gain_is_that_of_the_same_rows():
    labels = np.array([1.0, 1.0, 0.0, 0.0])
    run = mean_area([(labels, np.array([0.9, 0.4, 0.5, 0.1]))])
    constant = mean_area([(labels, np.full(4, 0.3))])
    assert constant.value == 0.5 and variance(constant) == 0
    assert run.gain_interval(run) == (0, 0)
    low, high = run.gain_interval(constant)
    assert (low + high) / 2 == pytest.approx(0.25)
    assert high - low == pytest.approx(2 * 1.959964 * np.sqrt(1 / 8))


def test_resampling_gives_the_same_deviation():
    random = np.random.default_rng(0)
    labels = (random.random(600) < 0.2) * 1.0
    scores = labels + random.normal(size=600)
    areas = []
    for _ in range(500):
        rows = random.integers(600, size=600)
        areas.append(roc_auc(labels[rows], scores[rows]))
    assert np.sqrt(variance(mean_area([(labels, scores)]))) == pytest.approx(np.std(areas), rel=0.1)


def test_a_perfect_order_has_no_deviation():
    labels = np.array([1.0, 1.0, 0.0, 0.0])
    assert mean_area([(labels, labels)]).interval() == (1.0, 1.0)
