"""Multi-class and regression tasks: labels, losses, units, metrics and strata."""

from __future__ import annotations

import hypothesis
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from auxfold.config import MulticlassSettings, RegressionSettings
from auxfold.data.labels import parse_labels
from auxfold.data.loading import read_training_table
from auxfold.errors import InputError
from auxfold.tasks import TaskSet
from auxfold.tasks.multiclass import MulticlassTask
from auxfold.tasks.regression import RegressionTask
from conftest import make_experiment

NAN = float("nan")


def classes(names=("a", "b", "c"), **changes) -> MulticlassTask:
    names = list(names)
    return MulticlassTask(
        MulticlassSettings(name="t", kind="multiclass", columns=["y"], classes=names, **changes)
    )


def numbers(*columns: str, **changes) -> RegressionTask:
    return RegressionTask(
        RegressionSettings(name="t", kind="regression", columns=list(columns), **changes)
    )


# ---- labels as they stand in a file


@pytest.mark.parametrize(
    ("names", "cells", "expected"),
    [
        (["neg", "pos"], ["pos", "neg", " pos ", ""], [1, 0, 1, NAN]),
        (["neg", "pos"], ["1", "0", "NaN", "1"], [1, 0, NAN, 1]),  # numbers stand for places
        (["1", "0"], ["1", "0", "0", ""], [0, 1, 1, NAN]),  # a class's own name comes first
        (["none", "some"], ["none", "some", "", "null"], [0, 1, NAN, NAN]),
    ],
)
def test_classes_are_read_by_name_or_number(names, cells, expected):
    values = parse_labels(pd.DataFrame({"y": cells}), classes(names).settings, "f.csv").values
    np.testing.assert_array_equal(values[:, 0], expected)


@pytest.mark.parametrize(
    ("names", "cell", "message"),
    [
        (["neg", "pos"], "pso", "column 'y', row 2: 'pso' is none of .*did you mean 'pos'"),
        (["neg", "pos"], "2", "'2' is none of the classes of tasks.t"),
        (["1", "2"], "0", "'0' is none of the classes"),  # names that are numbers: no places
        (["neg", "pos"], "-1", "'-1' is none of"),
    ],
)
def test_what_is_no_class_is_refused_with_its_row(names, cell, message):
    frame = pd.DataFrame({"y": [names[0], cell]})
    with pytest.raises(InputError, match=message):
        parse_labels(frame, classes(names).settings, "f.csv")


def test_a_number_of_classes_stands_for_their_numbers():
    task = MulticlassTask(MulticlassSettings(name="t", kind="multiclass", columns=["y"], classes=3))
    assert task.settings.class_names == ["0", "1", "2"]
    assert task.prediction_columns == ["y_0", "y_1", "y_2"]


def test_a_single_class_or_value_is_refused():
    with pytest.raises(InputError, match="two classes, found 1"):
        classes().check_labels(np.array([[1.0], [1.0], [NAN]]), "f.csv")
    with pytest.raises(InputError, match="the one value 2"):
        numbers("y").check_labels(np.array([[2.0], [2.0], [NAN]]), "f.csv")
    with pytest.raises(InputError, match="'z' has no label at all"):
        numbers("y", "z").check_labels(np.array([[2.0, NAN], [3.0, NAN]]), "f.csv")


def test_a_column_is_predicted_once_whatever_the_kind():
    tasks = [
        {"name": "c", "kind": "multiclass", "columns": ["y"], "classes": ["a", "b"], "main": True},
        {"name": "b", "kind": "binary", "columns": ["y_a"]},
    ]
    with pytest.raises(InputError, match="column 'y_a' is predicted by two"):
        make_experiment("t", "b", tasks=tasks)
    with pytest.raises(InputError, match="column 'id' is predicted by two tasks, or is the id"):
        make_experiment("t", "b", tasks=[{"name": "b", "kind": "binary", "columns": ["id"]}])


# ---- losses


def test_cross_entropy_with_smoothing_by_hand():
    logits = np.array([[1.0, 0.0, -1.0], [0.5, 0.5, 2.0]])
    chances = np.log(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
    plain = classes().cell_losses(torch.tensor(logits), torch.tensor([[0.0], [2.0]]))
    np.testing.assert_allclose(plain[:, 0], [-chances[0, 0], -chances[1, 2]], rtol=1e-6)
    smooth = classes(label_smoothing=0.3).cell_losses(
        torch.tensor(logits), torch.tensor([[0.0], [2.0]])
    )
    expected = [-0.7 * chances[0, 0] - 0.1 * chances[0].sum(),
                -0.7 * chances[1, 2] - 0.1 * chances[1].sum()]  # fmt: skip
    np.testing.assert_allclose(smooth[:, 0], expected, rtol=1e-6)


def test_an_untrained_head_predicts_the_rates():
    labels = np.array([[0.0], [0.0], [0.0], [1.0], [NAN]])
    task = classes()
    predictions = task.activate(task.initial_bias(labels)[None])
    np.testing.assert_allclose(
        predictions[0, :2] / predictions[0, :2].sum(), [0.75, 0.25], rtol=1e-6
    )
    assert 0 < predictions[0, 2] < 0.15, "no row of it here: rare, not impossible"
    task = numbers("y", standardize=False)
    assert task.initial_bias(labels)[0] == pytest.approx(0.25)


def test_standardised_losses_count_deviations_and_logits_keep_their_units():
    labels = np.array([[10.0, 100.0], [30.0, NAN], [20.0, 300.0]])
    task = numbers("y", "z")
    task.fit(labels)
    assert task.scale.mean == [20.0, 200.0]
    np.testing.assert_allclose(task.scale.std, [np.std([10, 20, 30]), 100.0])
    logits, right = torch.tensor([[20.0, 100.0]]), torch.tensor([[20.0 + 2 * 8.1649658, 300.0]])
    np.testing.assert_allclose(task.cell_losses(logits, right), [[4.0, 4.0]], rtol=1e-5)
    huber = numbers("y", "z", loss="huber", huber_delta=0.5)
    huber.fit(labels)
    np.testing.assert_allclose(huber.cell_losses(logits, right), [[0.5 * 1.75] * 2], rtol=1e-5)
    absolute = numbers("y", "z", loss="mae", standardize=False)
    absolute.fit(labels)
    np.testing.assert_allclose(absolute.cell_losses(logits, right), [[16.3299, 200]], rtol=1e-5)


def test_a_column_that_is_constant_or_unlabeled_in_a_fold_keeps_its_units():
    task = numbers("y", "z")
    task.fit(np.array([[5.0, NAN], [5.0, NAN]]))
    assert task.scale.mean == [5.0, 0.0] and task.scale.std == [1.0, 1.0]


# ---- metrics


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(seed=st.integers(0, 10_000), n=st.integers(2, 80), k=st.integers(2, 5))
def test_multiclass_metrics_are_scikit_learns(seed, n, k):
    random = np.random.default_rng(seed)
    labels = random.integers(0, k, n).astype(float)
    scores = np.exp(random.normal(size=(n, k)))
    scores /= scores.sum(axis=1, keepdims=True)
    task = classes([f"c{i}" for i in range(k)])
    masked = np.append(labels, NAN)[:, None]
    values = task.compute_metrics(masked, np.vstack([scores, scores[:1]]))
    best = scores.argmax(axis=1)
    assert values["accuracy"] == pytest.approx(sk.accuracy_score(labels, best))
    expected = np.mean([(best[labels == c] == c).mean() for c in np.unique(labels)])
    assert values["balanced_accuracy"] == pytest.approx(expected)
    for name, beta in (("f1", 1.0), ("f0.5", 0.5)):
        expected = sk.fbeta_score(labels, best, beta=beta, average="macro", zero_division=0)
        assert values[name] == pytest.approx(expected)
    for name, function in (("precision", sk.precision_score), ("recall", sk.recall_score)):
        expected = function(labels, best, average="macro", zero_division=0)
        assert values[name] == pytest.approx(expected)
    assert values["log_loss"] == pytest.approx(sk.log_loss(labels, scores, labels=range(k)))
    is_constant = len(set(labels)) == 1 or len(set(best)) == 1
    expected = None if is_constant else pytest.approx(sk.matthews_corrcoef(labels, best))
    assert values["mcc"] == expected
    areas = [sk.roc_auc_score(labels == c, scores[:, c]) for c in range(k)
             if 0 < (labels == c).sum() < n]  # fmt: skip
    assert values["auroc"] == (pytest.approx(np.mean(areas)) if areas else None)


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(seed=st.integers(0, 10_000), n=st.integers(3, 80))
def test_regression_metrics_are_the_libraries(seed, n):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 6, n) / 2.0
    labels[:2] = [0.0, 1.0]
    scores = labels + random.normal(size=n)
    values = numbers("y").compute_metrics(
        np.append(labels, NAN)[:, None], np.append(scores, 9.0)[:, None]
    )
    assert values["pearson"] == pytest.approx(stats.pearsonr(labels, scores)[0])
    assert values["spearman"] == pytest.approx(stats.spearmanr(labels, scores)[0])
    assert values["mse"] == pytest.approx(sk.mean_squared_error(labels, scores))
    assert values["rmse"] == pytest.approx(values["mse"] ** 0.5)
    assert values["mae"] == pytest.approx(sk.mean_absolute_error(labels, scores))
    assert values["r2"] == pytest.approx(sk.r2_score(labels, scores))


def test_constant_predictions_are_undefined_and_do_not_spread():
    labels = np.array([[1.0, 4.0], [2.0, 5.0], [3.0, 7.0]])
    values = numbers("y", "z").compute_metrics(
        labels, np.array([[2.0, 4.0], [2.0, 5.0], [2.0, 7.0]])
    )
    assert values["pearson/y"] is None and values["spearman/y"] is None
    assert values["pearson"] == pytest.approx(1.0), "the mean over the columns that have one"
    assert values["rmse/y"] == pytest.approx((2 / 3) ** 0.5) and values["rmse/z"] == 0.0
    assert values["mcrmse"] == pytest.approx((2 / 3) ** 0.5 / 2)
    empty = numbers("y").compute_metrics(np.full((2, 1), NAN), np.zeros((2, 1)))
    assert set(empty.values()) == {None}
    empty = classes().compute_metrics(np.full((2, 1), NAN), np.ones((2, 3)) / 3)
    assert set(empty.values()) == {None}


# ---- stratification and what is written


def test_strata_spread_classes_and_fifths():
    labels = np.array([[0.0], [2.0], [NAN]])
    np.testing.assert_array_equal(
        classes().stratification_flags(labels), [[1, 0, 0], [0, 0, 1], [NAN, NAN, NAN]]
    )
    values = np.arange(10.0)[:, None]
    flags = numbers("y").stratification_flags(values)
    assert flags.sum(axis=0).tolist() == [2, 2, 2, 2, 2] and (flags.sum(axis=1) == 1).all()


def test_predictions_name_the_class_and_give_every_probability():
    task = classes()
    values = np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]])
    frame = TaskSet([task]).prediction_frame("id", np.array(["r1", "r2"]), {"t": values})
    assert list(frame.columns) == ["id", "y", "y_a", "y_b", "y_c"]
    assert frame["y"].tolist() == ["b", "a"] and frame["y_c"].tolist() == [0.3, 0.1]


def test_rows_without_an_id_are_numbered(tmp_path):
    pd.DataFrame({"text": ["x", "y"], "toxic": [0, 1]}).to_csv(tmp_path / "t.csv", index=False)
    task = {"name": "main", "kind": "binary", "columns": ["toxic"]}
    experiment = make_experiment(
        "t", "b", data={"train": str(tmp_path / "t.csv"), "id": ""}, tasks=[task]
    )
    assert read_training_table(experiment).ids.tolist() == ["0", "1"]
    assert experiment.data.id_column == "row"
