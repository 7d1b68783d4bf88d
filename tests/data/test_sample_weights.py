"""Schemes of row weights: both formulas on all four cells, and which losses they weight."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from auxfold.data.loading import read_training_table
from auxfold.data.sample_weights import (
    fit_sample_weights,
    identity_public_kernel,
    identity_strict,
)
from auxfold.data.table import Table
from auxfold.errors import InputError
from auxfold.tasks import TaskSet
from auxfold.training.objective import Objective
from conftest import make_experiment

# Not toxic and toxic, each without annotations, with no identity, with one, and with both.
CELLS = pd.DataFrame(
    {
        "id": range(8),
        "text": "a",
        "toxic": [0.49, 0.5] * 4,
        "insult": 0,
        "threat": 1,
        "a": ["", "", 0, 0, 0.5, 0.5, 1, 1],
        "b": ["", "", 0.49, 0.49, 0, "", 0.5, 0.5],
        "n": [1, 4, 10, 0, "", 2, 3, 6],
        "w": [1, 2, 3, 4, 5, 6, 7, 8],
    }
)
STRICT = [0.25, 0.5, 0.25, 0.5, 0.75, 0.5, 0.75, 0.5]
# A toxic row with one of the two identities weighs three quarters. With both identities, none is
# below 0.5.
PUBLIC = [0.25, 0.5, 0.25, 0.5, 0.75, 0.75, 0.75, 0.5]
COUNTS = np.log(np.array([1, 4, 10, 0, np.nan, 2, 3, 6]) + 2)
COUNTS[4] = np.nanmean(COUNTS)


def fitted_table(experiment, indices=None) -> Table:
    """The training table with weights fitted on the rows at ``indices``, or on all rows."""
    table = read_training_table(experiment)
    return fit_sample_weights(
        experiment, table, np.arange(len(table)) if indices is None else np.array(indices)
    )


def weighted_experiment(tmp_path, frame=CELLS, identities=("a", "b"), data=None, **sample_weights):
    path = str(tmp_path / "train.csv")
    frame.to_csv(path, index=False)
    return make_experiment(path, "b", data={"train": path, **(data or {})},
                           identities={"columns": list(identities)},
                           sample_weights=sample_weights)  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"scheme": "identity_strict"}, STRICT),
        ({"scheme": ["identity_public_kernel"]}, PUBLIC),
        ({"scheme": "annotators", "annotators": "n"}, COUNTS),
        ({"scheme": "column", "column": "w"}, CELLS["w"]),
        (
            {"scheme": ["identity_strict", "annotators", "column"], "annotators": "n",
             "column": "w"},
            np.array(STRICT) * COUNTS * CELLS["w"],
        ),
    ],
)  # fmt: skip
def test_every_cell_of_every_scheme(tmp_path, settings, expected):
    plain = fitted_table(weighted_experiment(tmp_path, **settings, scale_to_mean_one=False))
    assert plain.task_weights["main"] == pytest.approx(expected, rel=1e-6)
    assert plain.sample_weights.tolist() == [1.0] * 8 and list(plain.task_weights) == ["main"]
    scaled = fitted_table(weighted_experiment(tmp_path, **settings)).task_weights["main"]
    assert scaled == pytest.approx(expected / np.mean(expected), rel=1e-6)


def test_the_public_formula_is_the_one_that_was_published():
    """The kernel adds integers and compares with one: "both hold"."""
    random = np.random.default_rng(0)
    target, shares = random.random(4_000), random.random((4_000, 9)) * 0.7
    present, absent = (shares >= 0.5).any(axis=1), (shares < 0.5).any(axis=1)
    expected = np.full(4_000, 0.25) + present / 4
    expected += ((target >= 0.5).astype(int) + absent > 1) / 4
    expected += ((target < 0.5).astype(int) + present > 1) / 4
    weights = identity_public_kernel(target >= 0.5, shares >= 0.5)
    np.testing.assert_array_equal(weights, expected)
    strict = identity_strict(target >= 0.5, shares >= 0.5)
    differ = weights != strict
    np.testing.assert_array_equal(differ, (target >= 0.5) & present)
    assert set(weights[differ]) == {0.75} and set(strict[differ]) == {0.5}


def test_the_mean_is_over_rows_with_a_main_label(tmp_path):
    frame = CELLS.astype({"toxic": object})
    frame.loc[[0, 2], "toxic"] = ""
    experiment = weighted_experiment(tmp_path, frame, scheme="identity_strict")
    weights = fitted_table(experiment).task_weights["main"]
    assert weights[[1, 3, 4, 5, 6, 7]].mean() == pytest.approx(1.0)


def test_the_main_tasks_gradient_follows_and_no_other(tmp_path):
    def gradient(**sample_weights) -> np.ndarray:
        experiment = weighted_experiment(tmp_path, **sample_weights)
        objective = Objective(TaskSet.from_experiment(experiment), fitted_table(experiment))
        leaf = torch.zeros(8, 3, requires_grad=True)
        indices = np.arange(8)
        logits = {"main": leaf[:, :1], "aux": leaf[:, 1:]}
        losses = objective.for_step(indices)(logits, indices)
        sum(losses.values()).backward()
        return leaf.grad.numpy()

    plain, weighted = gradient(), gradient(scheme="identity_strict", scale_to_mean_one=False)
    np.testing.assert_allclose(weighted[:, 0], plain[:, 0] * STRICT, rtol=1e-6)
    np.testing.assert_array_equal(weighted[:, 1:], plain[:, 1:])


def test_they_multiply_with_the_weights_of_every_task_and_of_the_main_one(tmp_path):
    experiment = weighted_experiment(tmp_path, scheme="identity_strict", scale_to_mean_one=False)
    tasks = [{**experiment.tasks[0].model_dump(mode="json", exclude_none=True), "row_weight": "w"}]
    sections = experiment.model_dump(mode="json", exclude_none=True)
    sections["data"]["sample_weight"] = "w"
    experiment = make_experiment("", "b", **{**sections, "tasks": tasks})
    table = fitted_table(experiment)
    assert table.task_weights["main"] == pytest.approx(np.array(STRICT) * CELLS["w"], rel=1e-6)
    assert table.sample_weights.tolist() == CELLS["w"].tolist()


def test_a_source_without_the_columns_weighs_as_unknown(tmp_path):
    first, second = tmp_path / "one.csv", tmp_path / "two.csv"
    CELLS.to_csv(first, index=False)
    CELLS[["id", "text", "toxic"]].to_csv(second, index=False)
    sources = [{"path": str(p), "name": p.stem} for p in (first, second)]
    experiment = make_experiment(
        "",
        "b",
        data={"train": sources},
        identities={"columns": ["a", "b"]},
        sample_weights={
            "scheme": ["identity_strict", "annotators"],
            "annotators": "n",
            "scale_to_mean_one": False,
        },
    )
    weights = fitted_table(experiment).task_weights["main"]
    assert weights[:8] == pytest.approx(np.array(STRICT) * COUNTS, rel=1e-6)
    assert weights[8:] == pytest.approx(np.array([0.25, 0.5] * 4) * COUNTS[4], rel=1e-6)


def test_means_are_of_the_rows_to_train_on(tmp_path):
    """The first four rows are trained on; two of the others have numbers that would show."""
    frame = CELLS.assign(n=["", 1, 4, "", 1000, 1000, 7, ""]).astype({"toxic": object})
    frame.loc[2, "toxic"] = ""
    settings = {"scheme": "annotators", "annotators": "n"}
    plain = weighted_experiment(tmp_path, frame, **settings, scale_to_mean_one=False)
    weights = fitted_table(plain, range(4)).task_weights["main"]
    mean = np.log([3, 6]).mean()
    assert weights == pytest.approx([mean, *np.log([3, 6]), mean, *np.log([1002] * 2 + [9]), mean])
    scaled = weighted_experiment(tmp_path, frame, **settings)
    labeled = np.mean([mean, np.log(3), mean])
    expected = np.array([mean, *np.log([3, 6]), mean]) / labeled
    assert fitted_table(scaled, range(4)).task_weights["main"][:4] == pytest.approx(expected)


def test_the_fingerprint_is_of_what_the_file_says_and_not_of_means(tmp_path):
    """It is the same with and without scaling, and for every choice of rows to train on."""
    settings = {"scheme": ["identity_strict", "annotators"], "annotators": "n"}
    fingerprints = {
        read_training_table(weighted_experiment(tmp_path, **settings, scale_to_mean_one=scale))
        .fingerprint() for scale in (True, False)
    }  # fmt: skip
    other = CELLS.assign(n=[1, 4, 10, 0, "", 2, 3, 7])
    changed = read_training_table(weighted_experiment(tmp_path, other, **settings))
    plain = read_training_table(weighted_experiment(tmp_path))
    assert len(fingerprints) == 1
    assert len({*fingerprints, changed.fingerprint(), plain.fingerprint()}) == 3


def test_unfitted_weights_are_not_trained_with(tmp_path):
    experiment = weighted_experiment(tmp_path, scheme="identity_strict")
    with pytest.raises(AssertionError, match="fitted to the rows to train on"):
        Objective(TaskSet.from_experiment(experiment), read_training_table(experiment))


def test_rows_without_any_number_of_annotators_have_weight_1(tmp_path):
    experiment = weighted_experiment(
        tmp_path, CELLS.assign(n=["", "", "", 0, 9, 9, 9, 9]), scheme="annotators",
        annotators="n", scale_to_mean_one=False,
    )  # fmt: skip
    assert fitted_table(experiment, range(3)).task_weights["main"][:3].tolist() == [1, 1, 1]
    assert fitted_table(experiment).task_weights["main"][3] == np.float32(np.log(2))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"scheme": "identity_lenient"}, "sample_weights.scheme.0 = 'identity_lenient'"),
        ({"scheme": "identity_strict", "identities": ()}, "needs identities.columns"),
        ({"scheme": "annotators"}, "scheme = 'annotators' and annotators .* go together"),
        ({"column": "w"}, "scheme = 'column' and column .* go together"),
        ({"scheme": ["column", "column"], "column": "w"}, "scheme holds a name twice"),
        ({"scheme": "column", "column": "v"}, "has no column 'v'"),
        ({"scheme": "annotators", "annotators": "text"}, "'text', row 1: 'a' is not a number"),
        ({"scheme": "annotators", "annotators": "m"}, "'m', row 1: -1 annotators"),
        ({"scheme": "column", "column": "m"}, "'m', row 1: a row weight must be a number >= 0"),
    ],
)
def test_settings_and_cells_that_do_not_fit_are_named(tmp_path, settings, expected):
    with pytest.raises(InputError, match=expected):
        read_training_table(weighted_experiment(tmp_path, CELLS.assign(m=-1), **settings))
