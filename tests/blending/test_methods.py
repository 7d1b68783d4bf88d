"""Which methods suit a task and a metric, and what the command refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from auxfold.blending.methods import check_methods, select_methods
from auxfold.blending.options import METHODS, BlendOptions
from auxfold.errors import InputError
from commands import refusal_of_script
from fake_runs import TASKS_OF_EACH_KIND, fit_by_name, join_fake_runs, write_three_runs


@pytest.mark.parametrize(
    ("metric", "methods"),
    [
        ("mood/log_loss", ["mean", "logit", "power", "hill_climbing", "nelder_mead"]),
        ("mood/accuracy", ["mean", "logit", "power", "hill_climbing", "nelder_mead"]),
        ("score/rmse", ["mean", "logit", "hill_climbing", "nelder_mead"]),
    ],
)
def test_other_kinds_of_task(competition, metric, methods):
    candidates = join_fake_runs(write_three_runs(tasks=TASKS_OF_EACH_KIND), metric)
    assert select_methods(METHODS, candidates, BlendOptions()) == methods
    for fitted in fit_by_name(candidates, methods).values():
        (values,) = fitted.nested_predictions.values()
        assert np.isfinite(values).all()
        if metric.startswith("mood"):
            np.testing.assert_allclose(values.sum(axis=1), 1.0)
    with pytest.raises(InputError, match="average = 'rank' is for binary and tags tasks"):
        check_methods(["rank"], candidates, BlendOptions())
    with pytest.raises(InputError, match="average = 'rank' is for binary and tags tasks"):
        select_methods(METHODS, candidates, BlendOptions(average="rank"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--runs", "a"], "two runs or more"),
        (["--runs", "a,a"], "two of them have one name"),
        (["--runs", "a,bb"], "no trained run 'bb' (did you mean 'b'?)"),
        (["--runs", "a,b", "--metric", "main/acu"], "(did you mean 'main/auc'?)"),
        (["--runs", "a,b", "--method", "median"], "(did you mean 'mean'?)"),
        (["--runs", "a,b", "--name", "c"], "is a run of its own"),
        (["--runs", "a,b", "--name", "../x"], "becomes outputs/<name>/"),
        (["--runs", "a,b", "--method", "mean", "--negative"], "--negative has no effect"),
        (["--runs", "a,b", "--method", "nelder_mead", "--step", "1"], "--step has no effect"),
        (["--runs", "a,b", "--negative", "--average", "power"], "may have no root"),
        (["--runs", "a,b", "--metric", "aux/auc/threat", "--by", "column"], "not a mean over"),
        (["--runs", "a,b", "--step", "0"], "--step 0.0: at least 0.001"),
        (["--runs", "a,b", "--weights", "1,2"], "--weights has no effect with --runs"),
        (["--predictions", "a,b", "--metric", "x"], "--metric has no effect with --predictions"),
        (["--predictions", "a,b", "--draws", "0"], "--draws has no effect with --predictions"),
    ],
)
def test_what_cannot_be_asked_is_refused(competition, capsys, arguments, expected):
    write_three_runs()
    assert expected in refusal_of_script(capsys, "blend", *arguments)
    assert not Path("outputs/blend").exists()
