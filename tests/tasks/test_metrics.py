"""Metrics agree with scikit-learn, and an undefined one is None."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    cohen_kappa_score,
    log_loss,
    roc_auc_score,
    top_k_accuracy_score,
)

from auxfold.config import BinarySettings, MulticlassSettings
from auxfold.config.experiment import experiment_from_dict
from auxfold.errors import InputError
from auxfold.tasks import KINDS, TaskSet, create_task, metrics
from auxfold.tasks.binary import BinaryTask
from auxfold.tasks.metrics.names import check_selection_metric_name, list_metrics


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


def test_the_calibration_error_by_hand():
    labels = np.array([0.0, 1.0, 1.0, 1.0, np.nan])
    values = np.array([0.12, 0.18, 0.95, 1.0, 0.5])
    mean_values, mean_labels, counts = metrics.reliability_curve(labels, values)
    np.testing.assert_allclose(mean_values, [0.15, 0.975])
    np.testing.assert_allclose(mean_labels, [0.5, 1.0])
    assert counts.tolist() == [2, 2]
    assert metrics.expected_calibration_error(labels, values) == pytest.approx((0.35 + 0.025) / 2)
    assert metrics.expected_calibration_error(np.array([np.nan]), np.array([0.5])) is None


def random_classes(n_classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels with missing ones and without the last class, and probabilities with ties."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, n_classes - 1, 200).astype(float)
    labels[::7] = np.nan
    return labels, random.integers(1, 6, (200, n_classes)) / 5


def counts_by_hand(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    counts = np.zeros((probabilities.shape[1],) * 2)
    for label, row in zip(labels, probabilities, strict=True):
        if not np.isnan(label):
            counts[int(label), row.argmax()] += 1
    return counts


@pytest.mark.parametrize("n_classes", [3, 7])
def test_metrics_of_the_likeliest_class_are_the_formulas_on_the_counts(n_classes):
    labels, probabilities = random_classes(n_classes)
    counts = counts_by_hand(labels, probabilities)
    np.testing.assert_array_equal(metrics.confusion(labels, probabilities), counts)
    hits, true, predicted, rows = (
        np.diag(counts), counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    )  # fmt: skip
    values = {
        "accuracy": hits.sum() / rows,
        "balanced_accuracy": np.mean(hits[:-1] / true[:-1]),  # the last class has no row
        "precision": np.mean(hits / predicted),
        "recall": np.append(hits[:-1] / true[:-1], 0).mean(),
        "f1": np.mean(2 * hits / (true + predicted)),
        "f0.5": np.mean(1.25 * hits / (0.25 * true + predicted)),
        "mcc": (hits.sum() * rows - true @ predicted)
        / np.sqrt((rows**2 - true @ true) * (rows**2 - predicted @ predicted)),
    }
    for name, value in values.items():
        metric = metrics.MULTICLASS_METRICS[name]
        assert metric(labels, probabilities) == pytest.approx(value, abs=1e-12), name


def test_metrics_of_classes_are_undefined_without_labels_and_with_a_single_class():
    none, same = np.full(3, np.nan), np.zeros(3)
    probabilities = np.array([[0.6, 0.4], [0.3, 0.7], [0.9, 0.1]])
    for name, metric in metrics.MULTICLASS_METRICS.items():
        assert metric(none, probabilities) is None, name
    assert metrics.matthews(same, probabilities) is None
    assert metrics.matthews(np.array([0.0, 1.0, 0.0]), probabilities * [1, 0]) is None
    assert metrics.balanced_accuracy(same, probabilities) == pytest.approx(2 / 3)


def test_binary_decisions_by_hand():
    labels = np.array([1.0, 0.5, 0.9, 0.0, 0.49, 0.0, np.nan])
    values = np.array([0.5, 0.9, 0.49, 0.1, 0.8, 0.2, 0.9])
    expected = {
        "accuracy": 4 / 6,  # two of three positive rows, two of three negative ones
        "balanced_accuracy": 4 / 6,
        "mcc": (2 * 2 - 1 * 1) / 9,
        "kappa": (4 / 6 - 1 / 2) / (1 - 1 / 2),
        "f1": 4 / 6,
        "brier": (0.25 + 0.16 + 0.41**2 + 0.01 + 0.31**2 + 0.04) / 6,
    }
    for name, value in expected.items():
        assert metrics.BINARY_METRICS[name](labels, values) == pytest.approx(value), name
    for name, metric in metrics.BINARY_METRICS.items():
        assert metric(np.full(2, np.nan), np.array([0.2, 0.8])) is None, name
    one_class, all_right = np.zeros(2), np.array([0.1, 0.2])
    undefined = {"auc", "ap", "f1", "balanced_accuracy", "mcc", "kappa"}
    for name, metric in metrics.BINARY_METRICS.items():
        assert (metric(one_class, all_right) is None) == (name in undefined), name


def test_the_first_classes_by_hand():
    probabilities = np.array(
        [[0.4, 0.3, 0.2, 0.1], [0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4], [0.3, 0.3, 0.3, 0.1]]
    )
    labels = np.array([0.0, 3.0, 1.0, 2.0])  # at the ranks 1, 4, 3, 3: earlier ones win ties
    assert metrics.top_k_accuracy(labels, probabilities, 3) == 3 / 4
    assert metrics.top_k_accuracy(labels, probabilities, 2) == 1 / 4
    assert metrics.map_at_k(labels, probabilities, 3) == pytest.approx((1 + 1 / 3 + 1 / 3) / 4)
    more = np.append(labels, np.nan), np.vstack([probabilities, probabilities[:1]])
    assert metrics.top_k_accuracy(*more, 3) == 3 / 4


@pytest.mark.parametrize("k", [3, 5])
def test_top_k_accuracy_is_that_of_scikit_learn(k):
    random = np.random.default_rng(k)
    labels, probabilities = random.integers(0, 12, 300), random.random((300, 12))
    expected = top_k_accuracy_score(labels, probabilities, k=k, labels=range(12))
    assert metrics.top_k_accuracy(labels * 1.0, probabilities, k) == pytest.approx(expected)


def test_a_task_has_the_metrics_of_the_first_classes_that_can_be_below_one():
    def names(n_classes: int) -> set[str]:
        settings = MulticlassSettings(name="t", kind="multiclass", columns=["y"], classes=n_classes)
        return set(create_task(settings).metrics)

    assert not {"top3", "map3"} & names(3) and {"top3", "map3"} <= names(4)
    assert names(11) - names(4) == {"top5", "map5", "top10", "map10"}


def test_shares_count_as_their_largest_class_and_in_the_log_loss_as_they_are():
    shares = np.array([[0.6, 0.3, 0.1], [0.2, 0.4, 0.4], [np.nan] * 3])
    assert metrics.class_numbers(shares).tolist()[:2] == [0, 1]
    assert np.isnan(metrics.class_numbers(shares)[2])
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.1, 0.2, 0.7]])
    assert metrics.accuracy(shares, probabilities) == 0.5
    cross_entropy = -(shares[:2] * np.log(probabilities[:2])).sum() / 2
    assert metrics.class_log_loss(shares, probabilities) == pytest.approx(cross_entropy)
    hard = metrics.class_numbers(shares)
    assert metrics.auroc(shares, probabilities) == metrics.auroc(hard, probabilities)


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(seed=st.integers(0, 10_000), n_classes=st.integers(2, 9))
def test_quadratic_kappa_is_that_of_scikit_learn(seed, n_classes):
    labels, probabilities = random_classes(n_classes + 1, seed)
    known = ~np.isnan(labels)
    predicted = probabilities.argmax(axis=1)
    everything = {"weights": "quadratic", "labels": list(range(n_classes + 1))}
    expected = cohen_kappa_score(labels[known].astype(int), predicted[known], **everything)
    qwk = metrics.ORDINAL_METRICS["qwk"]
    assert qwk(labels, probabilities) == pytest.approx(expected, abs=1e-12)


def test_ordinal_metrics_by_hand():
    labels = np.array([0.0, 1.0, 2.0, 3.0, np.nan])
    probabilities = np.eye(4)[[0, 3, 1, 3, 2]]
    values = {name: m(labels, probabilities) for name, m in metrics.ORDINAL_METRICS.items()}
    # Squared errors 0 + 4 + 1 + 0; by chance sum y² + sum p² - 2 · 6 · 7 / 4 = 14 + 19 - 21.
    assert values["qwk"] == pytest.approx(1 - 5 / 12)
    assert (values["mae"], values["accuracy"], values["within_one"]) == (3 / 4, 2 / 4, 3 / 4)
    same = np.zeros(3)
    assert metrics.ORDINAL_METRICS["qwk"](same, np.eye(4)[[0, 0, 0]]) is None
    for name, metric in metrics.ORDINAL_METRICS.items():
        assert metric(np.full(3, np.nan), np.eye(4)[[0, 0, 0]]) is None, name


def test_quadratic_kappa_of_numbers_rounds_to_the_labels():
    labels = np.array([1.0, 2.0, 6.0, np.nan])
    assert metrics.rounded_quadratic_kappa(labels, np.array([-3.0, 2.4, 9.0, 1.0])) == 1.0
    worse = metrics.rounded_quadratic_kappa(labels, np.array([1.0, 2.6, 6.0, 1.0]))
    assert worse == pytest.approx(
        cohen_kappa_score([1, 2, 6], [1, 3, 6], weights="quadratic", labels=range(1, 7))
    )
    assert metrics.rounded_quadratic_kappa(np.array([1.5, 2.0]), np.array([1.0, 2.0])) is None
    prices = np.array([10.0, 900_000_000.0])
    assert metrics.rounded_quadratic_kappa(prices, prices) == 1.0


def test_every_metric_of_a_run_is_known_before_torch_is_imported():
    tasks = [
        {"name": "yes", "kind": "binary", "columns": ["a", "b"], "main": True},
        {"name": "how", "kind": "multiclass", "columns": ["c"], "classes": 5},
        {"name": "who", "kind": "multiclass", "columns": ["d"], "classes": 3},
        {"name": "much", "kind": "regression", "columns": ["r", "s"]},
    ]
    data = {"train": "t.csv", "id": "id", "text": "text"}
    raw = {"name": "e", "data": data, "tasks": tasks}
    experiment = experiment_from_dict(raw, "e.toml")
    task_set = TaskSet.from_experiment(experiment)
    predictions = {task.name: np.zeros((0, task.n_outputs)) for task in task_set}
    computed = task_set.compute_metrics(np.zeros((0, 6)), predictions)
    assert set(list_metrics(experiment)) == set(computed)
    for metric, is_known in {"yes/auc/b": True, "how/top3": True, "who/top3": False}.items():
        selecting = experiment_from_dict({**raw, "selection": {"metric": metric}}, "e.toml")
        with nullcontext() if is_known else pytest.raises(InputError, match=f"'{metric}' is unkn"):
            check_selection_metric_name(selecting)
    code = "import sys, auxfold.tasks.metrics.names; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("kind", KINDS)
def test_the_registry_has_the_metrics_of_every_kind(kind):
    assert metrics.METRICS[kind] == KINDS[kind].metrics
