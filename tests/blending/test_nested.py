"""What blending brings is estimated on rows that took no part in fitting the weights."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from auxfold.blending.members import Member
from auxfold.blending.methods import check_methods, select_methods
from auxfold.blending.nested import choose_method
from auxfold.blending.options import METHODS, BlendOptions
from auxfold.blending.single_runs import score_single_runs
from auxfold.errors import InputError
from auxfold.tasks.metrics import roc_auc
from conftest import make_experiment
from fake_runs import fit_by_name, join_fake_runs, write_fake_run, write_three_runs


def test_equal_weights_by_hand_and_nothing_nested_about_them(competition):
    candidates = join_fake_runs(write_three_runs())
    p = candidates.predictions["main"][:, :, 0]
    methods = ["mean", "logit", "rank", "power"]
    fitted = fit_by_name(candidates, methods, BlendOptions(power=2.0, draws=0))
    logit = np.log(p / (1 - p)).mean(axis=0)
    rank = pd.DataFrame(p.T).rank().mean(axis=1) / 150
    expected = {"mean": p.mean(axis=0), "logit": 1 / (1 + np.exp(-logit)), "rank": rank,
                "power": np.sqrt((p**2).mean(axis=0))}  # fmt: skip
    labels = candidates.labels[:, 0]
    for method, values in expected.items():
        nested = fitted[method].nested_predictions["main"][:, 0]
        np.testing.assert_allclose(nested, values, atol=1e-9)
        scores = fitted[method].scores
        assert scores["nested"] == scores["in_sample"]
        assert scores["nested"] == pytest.approx(roc_auc(labels, np.array(values)))
        np.testing.assert_allclose(fitted[method].weights["toxic"], 1 / 3)


@pytest.mark.parametrize("method", ["hill_climbing", "nelder_mead"])
def test_no_row_takes_part_in_finding_its_own_weights(competition, method):
    """Other labels in fold 1: its rows' blended predictions stay, the other rows' do not."""
    candidates = join_fake_runs(write_three_runs(), "main/log_loss")
    before = fit_by_name(candidates, [method])[method].nested_predictions["main"].copy()
    in_fold = candidates.folds == 1
    candidates.labels[in_fold, 0] = 1 - candidates.labels[in_fold, 0]
    after = fit_by_name(candidates, [method])[method].nested_predictions["main"]
    np.testing.assert_array_equal(before[in_fold], after[in_fold])
    assert np.abs(before[~in_fold] - after[~in_fold]).max() > 1e-6


def test_the_nested_gain_of_models_that_know_nothing_is_none(competition):
    for n in range(8):
        experiment = make_experiment("train.csv", "b", name=f"n{n}", folds={"n_splits": 5})
        write_fake_run(experiment, 1e6, n)
    members = [Member.load(f"n{n}") for n in range(8)]
    scores = fit_by_name(join_fake_runs(members))["hill_climbing"].scores
    assert scores["in_sample"] > scores["nested"] + 0.05, "fitted on all rows it looks like a gain"
    assert scores["gain"] < 0.0


def test_a_metric_of_which_less_is_better_and_the_choice(competition):
    candidates = join_fake_runs(write_three_runs(), "main/log_loss")
    methods = select_methods(METHODS, candidates, BlendOptions(draws=0))
    assert "rank" not in methods
    fitted = fit_by_name(candidates, methods)
    assert "rank" not in fitted and len(fitted) == len(METHODS) - 1
    single_scores = score_single_runs(candidates, list("abc"))
    best = min(scores["oof"] for scores in single_scores.values())
    with pytest.raises(InputError, match="mean ranks are none"):
        check_methods(["nelder_mead"], candidates, BlendOptions(average="rank"))
    for method in fitted.values():
        assert method.scores["gain"] == pytest.approx(best - method.scores["nested"])
    for name in ("hill_climbing", "nelder_mead"):
        assert fitted[name].scores["in_sample"] <= best
    chosen = choose_method(list(fitted.values()), candidates.sign)
    assert chosen.scores["nested"] == min(method.scores["nested"] for method in fitted.values())
