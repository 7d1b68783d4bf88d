"""The bias metric of a prediction file has the interval that samples of its rows show."""

from __future__ import annotations

import numpy as np
import pytest

from auxfold.evaluation.bias import BiasColumns


def make_columns(rows: int) -> BiasColumns:
    random = np.random.default_rng(0)
    labels = (random.random(rows) < 0.4) * 1.0
    predictions = labels + random.normal(0, 1, rows)
    identities = (random.random((rows, 2)) < 0.4) * 1.0
    return BiasColumns(labels, predictions, identities, ["some", "others"])


@pytest.mark.parametrize("metric", ["jigsaw_bias/score", "jigsaw_bias/bpsn/some"])
def test_the_interval_is_that_of_samples_of_the_rows(metric):
    columns = make_columns(400)
    interval = columns.interval(metric)
    assert interval is not None
    assert (interval["method"], interval["draws"], interval["rows"]) == ("bootstrap", 1000, 400)
    random, scores = np.random.default_rng(7), []
    for _ in range(1000):
        rows = random.integers(0, 400, 400)
        draw = (columns.labels[rows], columns.predictions[rows], columns.identities[rows])
        scores.append(BiasColumns(*draw, columns.names).bias().metrics()[metric])
    expected = np.percentile(scores, [2.5, 97.5])
    np.testing.assert_allclose([interval["low"], interval["high"]], expected, atol=0.01)
    assert interval["low"] < columns.bias().metrics()[metric] < interval["high"]


def test_an_undefined_metric_has_no_interval():
    columns = make_columns(40)
    of_one_class = BiasColumns(np.ones(40), columns.predictions, columns.identities, columns.names)
    assert of_one_class.interval("jigsaw_bias/score") is None
