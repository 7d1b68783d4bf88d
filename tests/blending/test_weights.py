"""Weights of a whole run and weights of each label column."""

from __future__ import annotations

import numpy as np
import pytest

from auxfold.blending.options import BlendOptions
from auxfold.blending.single_runs import score_single_runs
from fake_runs import fit_by_name, join_fake_runs, write_three_runs


def test_one_weight_for_all_columns_or_one_for_each(competition):
    members = write_three_runs()
    candidates = join_fake_runs(members, "auc")
    assert [task.name for task in candidates.tasks] == ["main", "aux"]
    scores = score_single_runs(candidates, list("abc"))["a"]
    metrics = ("main/auc", "aux/auc/insult", "aux/auc/threat")
    by_column = [join_fake_runs(members, metric) for metric in metrics]
    column_scores = [score_single_runs(part, list("abc"))["a"]["oof"] for part in by_column]
    assert scores["oof"] == pytest.approx(np.mean(column_scores)), "of all three columns"
    together = fit_by_name(candidates, ["hill_climbing"])["hill_climbing"].weights
    assert list(together) == ["toxic", "insult", "threat"]
    assert together["toxic"].tolist() == together["threat"].tolist()
    options = BlendOptions(by_column=True, draws=0)
    apart = fit_by_name(candidates, ["hill_climbing"], options)["hill_climbing"]
    for part, column in zip(by_column, ("toxic", "insult", "threat"), strict=True):
        alone = fit_by_name(part, ["hill_climbing"])["hill_climbing"]
        np.testing.assert_allclose(apart.weights[column], alone.weights[column])
    assert len({tuple(w) for w in apart.weights.values()}) > 1
