"""The tasks of an experiment: their label columns, subsets, summaries and means over tasks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from auxfold.errors import InputError
from auxfold.tasks import TaskSet
from auxfold.tasks.metrics import higher_is_better
from conftest import make_experiment

NAN = float("nan")
MIXED = [
    {"name": "scores", "kind": "regression", "columns": ["s", "t"]},
    {"name": "mood", "kind": "multiclass", "columns": ["m"], "classes": ["low", "high"]},
    {"name": "toxicity", "kind": "binary", "columns": ["x", "y"], "main": True},
]


def make_task_set(tasks: list[dict[str, Any]], **changes: Any) -> TaskSet:
    return TaskSet.from_experiment(make_experiment("t", "b", tasks=tasks, **changes))


def test_tasks_know_their_label_columns():
    tasks = make_task_set(MIXED)
    assert tasks.names == [task.name for task in tasks] == ["scores", "mood", "toxicity"]
    assert len(tasks) == 3 and tasks.by_name["mood"].class_names == ["low", "high"]
    assert tasks.slices == {"scores": slice(0, 2), "mood": slice(2, 3), "toxicity": slice(3, 5)}
    assert tasks.main.name == "toxicity" and tasks.main_slice == slice(3, 5)
    assert [(task.name, columns) for task, columns in tasks.items()] == list(tasks.slices.items())
    assert make_task_set(MIXED[:1]).main.name == "scores", "the only one is the main one"


def test_a_subset_keeps_slices_and_main_task():
    tasks = make_task_set(MIXED).subset(["mood", "scores", "mood"])
    assert tasks.names == ["mood", "scores"]
    assert [columns for _, columns in tasks.items()] == [slice(2, 3), slice(0, 2)]
    assert tasks.main.name == "toxicity" and tasks.selection_metric == "toxicity/auc"
    labels = np.array([[1.0, 2.0, 1.0, 0.0, 1.0], [3.0, 5.0, 0.0, 1.0, 0.0]])
    predictions = {"mood": np.array([[0.1, 0.9], [0.2, 0.8]]), "scores": labels[:, :2] + 1}
    metrics = tasks.compute_metrics(labels, predictions)
    assert metrics["mood/accuracy"] == 0.5 and metrics["scores/mae/t"] == 1.0
    frame = tasks.prediction_frame("id", np.array(["a", "b"]), predictions)
    assert list(frame.columns) == ["id", "m", "m_low", "m_high", "s", "t"]


def test_an_out_of_fold_file_holds_fold_predictions_and_labels():
    tasks = make_task_set(MIXED)
    labels = np.array([[1.0, NAN, 1.0, 0.0, 0.25], [3.0, 5.0, NAN, 1.0, NAN]])
    predictions = {
        "scores": labels[:, :2] + 1,
        "mood": np.array([[0.1, 0.9], [0.8, 0.2]]),
        "toxicity": np.array([[0.3, 0.4], [0.6, 0.7]]),
    }
    ids, folds = np.array(["a", "b"]), np.array([1, 0])
    frame = tasks.out_of_fold_frame("row", ids, folds, predictions, labels)
    expected = ["row", "fold", "s", "t", "m", "m_low", "m_high", "x", "y"]
    assert list(frame.columns) == [*expected, *(f"{name}__label" for name in "stmxy")]
    assert frame["fold"].tolist() == [1, 0] and frame["m"].tolist() == ["high", "low"]
    assert frame["m__label"][0] == "high" and frame["m__label"].isna().tolist() == [False, True]
    np.testing.assert_array_equal(frame["t__label"], [NAN, 5.0])
    np.testing.assert_array_equal(frame["y__label"], [0.25, NAN])
    assert tasks.prediction_columns == ["s", "t", "m_low", "m_high", "x", "y"]


@pytest.mark.parametrize("column", ["fold", "toxic__label"])
def test_names_of_out_of_fold_files_are_no_label_columns(column):
    with pytest.raises(InputError, match=f"{column!r} has a name that out-of-fold files use"):
        make_task_set([{"name": "main", "kind": "binary", "columns": [column]}])


def test_the_selection_metric_is_the_configured_one_or_the_main_tasks_default():
    assert make_task_set(MIXED).selection_metric == "toxicity/auc"
    chosen = make_task_set(MIXED, selection={"metric": "mood/f1"})
    assert chosen.selection_metric == "mood/f1"


def test_a_fitted_set_leaves_the_tasks_as_they_are():
    tasks = make_task_set([MIXED[0], {**MIXED[2], "pos_weight": "balanced"}])
    labels = np.array([[1.0, 2.0, 0.0, 1.0], [3.0, 2.0, 1.0, 0.0], [NAN, NAN, 0.0, 0.0]])
    fitted = tasks.fit(labels)
    assert fitted.by_name["scores"].scale.mean == [2.0, 2.0]
    np.testing.assert_allclose(fitted.main.pos_weight, [2.0, 2.0])
    assert fitted.main is fitted.by_name["toxicity"] and fitted.slices == tasks.slices
    assert tasks.by_name["scores"].scale is None and tasks.main.pos_weight is None


def test_flags_and_summaries_are_those_of_the_tasks_in_order():
    tasks = make_task_set(MIXED[1:])
    labels = np.array([[0.0, 1.0, NAN], [1.0, 0.2, 0.7]])
    np.testing.assert_array_equal(
        tasks.stratification_flags(labels), [[1, 0, 1, NAN], [0, 1, 0.2, 0.7]]
    )
    assert tasks.label_summary(labels) == {
        "m_low": "1", "m_high": "1", "x ≥ 0.5": "1", "y ≥ 0.5": "1",
    }  # fmt: skip


def test_metrics_of_single_multiclass_tasks_can_be_hidden():
    several = [
        {"name": f"labels_{i}", "kind": "multiclass", "columns": [f"c{i}"], "classes": 2,
         "main": i == 0}
        for i in range(2)
    ]  # fmt: skip
    toxicity = {**MIXED[2], "main": False}
    metrics = {"labels_0/f1": 0.1, "f1": 0.2, "f1_std": 0.3, "toxicity/auc": 0.4}
    tasks = make_task_set([*several, toxicity])
    assert tasks.metrics_to_show(metrics) == metrics
    assert tasks.headline_metrics()[:2] == ["labels_0/accuracy", "labels_0/f1"]
    tasks = make_task_set([*several, toxicity], tracking={"show_per_group_metrics": False})
    assert list(tasks.metrics_to_show(metrics)) == ["f1", "f1_std", "toxicity/auc"]
    assert tasks.headline_metrics() == [
        "accuracy", "f1", "log_loss", "toxicity/auc", "toxicity/ap", "toxicity/log_loss",
    ]  # fmt: skip
    alone = make_task_set([several[0], toxicity], tracking={"show_per_group_metrics": False})
    assert alone.metrics_to_show(metrics) == metrics, "there is no mean over a single task"


def test_several_multiclass_tasks_have_a_mean_and_a_population_deviation():
    tasks = make_task_set([
        {"name": "one", "kind": "multiclass", "columns": ["y"], "classes": 2, "main": True},
        {"name": "two", "kind": "multiclass", "columns": ["z"], "classes": 3},
    ])  # fmt: skip
    labels = np.array([[0.0, 2.0], [1.0, 1.0]])
    right, wrong = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[0.5, 0.3, 0.2]] * 2)
    values = tasks.compute_metrics(labels, {"one": right, "two": wrong})
    assert values["one/accuracy"] == 1.0 and values["two/accuracy"] == 0.0
    assert values["accuracy"] == 0.5 and values["accuracy_std"] == 0.5
    assert values["mcc"] is None, "undefined for one of them"
    assert higher_is_better("accuracy") and not higher_is_better("log_loss")
    assert not higher_is_better("one/log_loss")
    assert not higher_is_better("t/rmse/y")
