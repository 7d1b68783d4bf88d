"""Four scales on which models are averaged, each by hand or against its definition."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy.stats import rankdata

from auxfold.errors import InputError
from auxfold.inference.ensemble import average_folds
from auxfold.postprocessing.averaging import (
    AVERAGES,
    check_average,
    from_scale,
    scaled_ranks,
    to_scale,
)
from auxfold.tasks import Task, TaskSet
from conftest import make_experiment

TASKS: list[dict] = [
    {"name": "yes", "kind": "binary", "columns": ["a", "b"], "main": True},
    {"name": "which", "kind": "multiclass", "columns": ["c"], "classes": ["x", "y", "z"]},
    {"name": "much", "kind": "regression", "columns": ["d"]},
]


def tasks() -> dict[str, Task]:
    return TaskSet.from_experiment(make_experiment("t", "b", tasks=TASKS)).by_name


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_ranks_are_scipys_over_the_number_of_rows(values):
    ranks = scaled_ranks(np.array(values) / 7)
    np.testing.assert_allclose(ranks, rankdata(values) / len(values), atol=1e-12)
    assert ranks.min() > 0 and ranks.max() <= 1


def test_every_scale_of_two_binary_models_by_hand():
    task = tasks()["yes"]
    first, second = np.array([[0.2, 0.5], [0.9, 0.5]]), np.array([[0.4, 0.1], [0.4, 0.3]])
    mean = {}
    for average in AVERAGES:
        both = [to_scale(task, p, average, 2.0) for p in (first, second)]
        mean[average] = from_scale(task, (both[0] + both[1]) / 2, average, 2.0)
    np.testing.assert_allclose(mean["probability"][:, 0], [0.3, 0.65])
    odds = np.sqrt(np.array([0.25 * (2 / 3), 9 * (2 / 3)]))
    np.testing.assert_allclose(mean["logit"][:, 0], odds / (1 + odds))
    np.testing.assert_allclose(mean["power"][:, 0], [np.sqrt(0.1), np.sqrt((0.81 + 0.16) / 2)])
    # Ranks of the first model 1/2 and 1, of the second a tie at 3/4; then a tie, and 1/2 and 1.
    np.testing.assert_allclose(mean["rank"], [[(0.5 + 0.75) / 2, 0.625], [0.875, 0.875]])


@pytest.mark.parametrize("average", ["probability", "logit", "power"])
@pytest.mark.parametrize("name", ["yes", "which"])
def test_the_mean_of_one_model_is_that_model_and_classes_sum_to_one(name, average):
    task = tasks()[name]
    random = np.random.default_rng(0)
    logits = 3 * random.normal(size=(40, task.n_outputs))
    predictions = task.activate(logits)
    mean = from_scale(task, to_scale(task, predictions, average, 3.5), average, 3.5)
    np.testing.assert_allclose(mean, predictions, atol=1e-9)
    other = task.activate(random.normal(size=logits.shape))
    both = [to_scale(task, p, average, 3.5) for p in (predictions, other)]
    mixed = from_scale(task, sum(both) / 2, average, 3.5)
    if name == "which":
        np.testing.assert_allclose(mixed.sum(axis=1), 1.0)
    else:
        assert (mixed >= np.minimum(predictions, other)).all()
        assert (mixed <= np.maximum(predictions, other)).all()


def test_folds_are_averaged_from_their_logits_on_every_scale():
    """The mean of logits needs no detour over probabilities, which saturate."""
    random = np.random.default_rng(1)
    yes = [(20 * random.normal(size=(9, 2))).astype(np.float32) for _ in range(3)]
    task = tasks()["yes"]
    folds = [{"yes": values} for values in yes]
    exact = [values.astype(np.float64) for values in yes]
    p = [1 / (1 + np.exp(-values)) for values in exact]
    expected = {
        "probability": sum(p) / 3,
        "logit": 1 / (1 + np.exp(-sum(exact) / 3)),
        "rank": sum(np.apply_along_axis(rankdata, 0, values) / 9 for values in p) / 3,
        "power": (sum(values**4 for values in p) / 3) ** (1 / 4),
    }
    for average, values in expected.items():
        averaged = average_folds(iter(folds), [task], average, 4)
        np.testing.assert_allclose(averaged["yes"], values, rtol=1e-6, atol=1e-12)


def test_logits_are_the_inverse_of_the_activation():
    z = np.linspace(-30, 30, 61)[:, None]
    probabilities = 1 / (1 + np.exp(-z))
    np.testing.assert_allclose(tasks()["yes"].to_logits(probabilities), z, rtol=1e-2, atol=1e-6)


def test_certain_probabilities_have_finite_logits():
    task = tasks()["yes"]
    certain = np.array([[0.0, 1.0]])
    assert np.isfinite(to_scale(task, certain, "logit", 1.0)).all()
    classes = to_scale(tasks()["which"], np.array([[0.0, 1.0, 0.0]]), "logit", 1.0)
    np.testing.assert_allclose(tasks()["which"].activate(classes), [[0, 1, 0]], atol=1e-12)


@pytest.mark.parametrize(
    ("average", "names", "rows", "expected"),
    [
        ("mean", ["yes"], 5, "one of probability, logit, rank, power"),
        (
            "rank",
            ["yes", "which"],
            5,
            "'rank' is for binary and tags tasks; task 'which' is a multiclass",
        ),
        ("power", ["much"], 5, "'much' is a regression task: take probability or logit"),
        ("rank", ["yes"], 1, "there is only one row"),
    ],
)
def test_an_average_without_a_meaning_is_refused(average, names, rows, expected):
    known = tasks()
    with pytest.raises(InputError, match=expected):
        check_average(average, [known[name] for name in names], rows)
    check_average("logit", known.values(), 1)
    check_average("rank", [known["yes"]], 2)
