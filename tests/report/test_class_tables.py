"""Precision, recall, F1 and support against counts by hand, and what long lists show first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from auxfold.config.experiment import Experiment
from auxfold.report.class_tables import ClassTable, Confusion, class_tables
from auxfold.tasks import TaskSet
from conftest import make_experiment


def make_tasks(*tasks: dict[str, Any], **changes: Any) -> TaskSet:
    experiment: Experiment = make_experiment("train.csv", "b", tasks=list(tasks), **changes)
    return TaskSet.from_experiment(experiment)


def table_of(tasks: TaskSet, labels: list, predictions: list, record: dict) -> ClassTable:
    columns = [column for task in tasks for column in task.prediction_columns]
    oof = pd.DataFrame(np.array(predictions, dtype=float), columns=columns)
    (table,) = class_tables(tasks, np.array(labels, dtype=float), oof, record)
    return table


def test_a_binary_label_is_decided_at_its_threshold_and_at_half():
    tasks = make_tasks({"name": "main", "kind": "binary", "columns": ["toxic"], "main": True})
    labels = [[1], [1], [1], [0], [0], [0], [np.nan]]
    scores = [[0.9], [0.4], [0.2], [0.3], [0.3], [0.1], [0.99]]
    record = {
        "thresholds": {
            "values": {"toxic": 0.35},
            "f1_of_labels": {"toxic": {"at_half": 0.5, "tuned": 0.75}},
        }
    }
    table = table_of(tasks, labels, scores, record)
    # At 0.35 two rows are predicted positive, both rightly, of three positive rows.
    assert dict(zip(table.header, table.rows[0], strict=True)) == {
        "label": "toxic", "positive rows": "3 of 6", "threshold": "0.3500", "precision": "1.0000",
        "recall": "0.6667", "F1": "0.8000", "nested F1": "0.7500", "F1 at 0.5": "0.5000",
    }  # fmt: skip
    at_threshold, at_half = table.confusions
    assert at_threshold.title == "toxic at threshold 0.3500"
    assert at_threshold.counts.tolist() == [[3, 0], [1, 2]]
    assert at_half.counts.tolist() == [[3, 0], [2, 1]]


def test_a_label_without_a_positive_row_has_neither_recall_nor_f1():
    tasks = make_tasks({"name": "main", "kind": "binary", "columns": ["toxic"], "main": True})
    table = table_of(tasks, [[0], [0]], [[0.6], [0.2]], {})
    assert table.rows[0][1:] == ["0 of 2", "0.5000", "0.0000", "–", "–", "–", "–"]


def test_classes_have_support_precision_recall_f1_and_averages():
    classes = ["bad", "fine", "good"]
    tasks = make_tasks(
        {"name": "mood", "kind": "multiclass", "columns": ["mood"], "classes": classes}
    )
    labels = [[0], [0], [0], [1], [1], [np.nan]]
    likeliest = [0, 0, 1, 1, 2, 2]
    table = table_of(tasks, labels, (np.eye(3)[likeliest] * 0.8 + 0.1).tolist(), {})
    assert table.header == ["class", "rows", "predicted", "precision", "recall", "F1"]
    assert table.rows == [
        ["bad", "3", "2", "1.0000", "0.6667", "0.8000"],
        ["fine", "2", "2", "0.5000", "0.5000", "0.5000"],
        ["good", "0", "1", "0.0000", "–", "–"],
    ]
    # Over the classes with rows: plain means, and (3 * bad + 2 * fine) / 5.
    assert table.averages == [
        ["macro average", "5", "5", "0.7500", "0.5833", "0.6500"],
        ["weighted average", "5", "5", "0.8000", "0.6000", "0.6800"],
    ]
    (matrix,) = table.confusions
    assert matrix.counts.tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 0]]
    assert matrix.shares[0].tolist() == [2 / 3, 1 / 3, 0]


def test_ordered_classes_are_also_decided_by_their_cut_points():
    tasks = make_tasks(
        {"name": "stars", "kind": "ordinal", "columns": ["stars"], "classes": ["1", "2", "3"]}
    )
    # Expected class numbers: 0.5, 0.9 and 1.6.
    probabilities = [[0.6, 0.3, 0.1], [0.3, 0.5, 0.2], [0.1, 0.2, 0.7]]
    record = {"cut_points": {"values": {"stars": {"lowest": 0.0, "cut_points": [0.4, 0.8]}}}}
    table = table_of(tasks, [[0], [1], [2]], probabilities, record)
    likeliest, at_cut_points = table.confusions
    assert likeliest.counts.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert at_cut_points.counts.tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 1]]
    assert "0.4000, 0.8000" in table.note


def test_ratings_of_a_regression_are_decided_by_their_cut_points():
    tasks = make_tasks({"name": "score", "kind": "regression", "columns": ["score"]})
    record = {"cut_points": {"values": {"score": {"lowest": 1.0, "cut_points": [1.5, 2.2]}}}}
    table = table_of(tasks, [[1], [2], [3]], [[1.2], [2.1], [2.15]], record)
    assert [row[:3] for row in table.rows] == [["1", "1", "1"], ["2", "1", "2"], ["3", "1", "0"]]
    assert table.confusions[0].counts.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]
    oof = pd.DataFrame({"score": [1.0]})
    assert class_tables(tasks, np.array([[1.0]]), oof, {}) == []


def test_of_many_labels_those_with_the_lowest_f1_come_first():
    columns = [f"label_{number:02d}" for number in range(12)]
    tasks = make_tasks({"name": "main", "kind": "binary", "columns": columns, "main": True})
    labels = np.zeros((12, 12))
    labels[:6] = 1.0
    scores = labels.copy()
    scores[:5, 7] = 0.0  # only one of six positive rows has a high score
    scores[0, 3] = 0.0
    labels[:, 11] = 0.0  # no positive row: no F1
    table = table_of(tasks, labels.tolist(), scores.tolist(), {})
    assert [row[0] for row in table.rows] == columns
    assert [row[0] for row in table.lowest[:2]] == ["label_07", "label_03"]
    assert len(table.lowest) == 10 and "label_11" not in [row[0] for row in table.lowest]


def test_of_many_classes_the_most_frequent_confusions_are_listed():
    names = [f"class {number}" for number in range(13)]
    counts = np.eye(13, dtype=int) * 5
    counts[2, 4], counts[4, 2], counts[0, 1] = 3, 5, 1
    matrix = Confusion("topic", names, counts)
    assert matrix.is_large and matrix.title == "topic: the most frequent confusions"
    assert matrix.frequent() == [
        ("class 4", "class 2", 5, 0.5),
        ("class 2", "class 4", 3, 0.375),
        ("class 0", "class 1", 1, 1 / 6),
    ]
