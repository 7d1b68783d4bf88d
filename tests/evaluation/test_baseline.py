"""The TF-IDF baseline is honest: out of fold, and masked and weighted as the loss is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from auxfold.data.table import Table
from auxfold.evaluation.baseline import tfidf_out_of_fold
from auxfold.tasks import TaskSet
from conftest import make_experiment

BINARY = {"name": "t", "kind": "binary", "columns": ["y"]}
TEXTS = ["silly goose", "good bread", "silly silly goose", "bread and rain"] * 10


def table(labels: list[float], weights: list[float] | None = None) -> Table:
    rows = len(TEXTS)
    return Table(
        path="generated",
        ids=np.array([str(i) for i in range(rows)], dtype=object),
        texts=[TEXTS],
        labels=np.array(labels, dtype=np.float32)[:, None],
        sample_weights=np.array(weights or [1.0] * rows, dtype=np.float32),
        task_weights={},
        groups=None,
        identities=np.empty((rows, 0), dtype=np.float32),
    )


def predict_with_tfidf(table: Table, folds: np.ndarray, **task) -> np.ndarray:
    """``(rows, outputs)``."""
    experiment = make_experiment("t", "b", tasks=[{**BINARY, **task}])
    tasks = TaskSet.from_experiment(experiment)
    return tfidf_out_of_fold(experiment, tasks, table, folds).to_numpy()


def test_a_row_is_predicted_by_the_other_folds_only():
    """Labels flipped in fold 1 flip the predictions of fold 0, not those of fold 1."""
    folds = np.arange(len(TEXTS)) // 20
    truth = [1.0, 0.0] * 10
    predicted = predict_with_tfidf(table(truth + [0.0, 1.0] * 10), folds)[:, 0]
    goose = np.arange(20) % 2 == 0
    assert (predicted[:20][goose] < 0.5).all() and (predicted[:20][~goose] > 0.5).all()
    assert (predicted[20:][goose] > 0.5).all() and (predicted[20:][~goose] < 0.5).all()


def test_missing_labels_and_weightless_rows_do_not_count():
    folds = np.arange(len(TEXTS)) % 2
    labels = [1.0, 1.0, 0.0, 0.0] * 5
    plain = predict_with_tfidf(table(labels + labels), folds)
    wrong = [1 - value for value in labels]
    weightless = predict_with_tfidf(table(labels + wrong, [1.0] * 20 + [0.0] * 20), folds)
    missing = predict_with_tfidf(table(labels + [np.nan] * 20), folds)
    np.testing.assert_allclose(missing, weightless, atol=1e-3)
    task_weights = {"t": np.array([1.0] * 20 + [0.0] * 20, dtype=np.float32)}
    weighted = replace(table(labels + wrong), task_weights=task_weights)
    np.testing.assert_array_equal(predict_with_tfidf(weighted, folds), weightless)
    assert np.abs(missing - plain).max() < 0.2


def test_soft_labels_count_by_their_share():
    folds = np.arange(len(TEXTS)) % 2
    soft, opposite = (predict_with_tfidf(table([rate] * 40), folds) for rate in (0.7, 0.3))
    assert (soft > 0.5).all() and (soft < 0.7).all()  # regularization keeps them below 0.7
    np.testing.assert_allclose(soft + opposite, 1.0, atol=1e-3)


def test_a_label_of_one_class_is_predicted_constant():
    folds = np.arange(len(TEXTS)) % 2
    assert (predict_with_tfidf(table([0.0] * 40), folds) == 0.0).all()


def test_classes_and_numbers_have_a_baseline_too():
    folds = np.arange(len(TEXTS)) // 4 % 2
    names = {"kind": "multiclass", "classes": ["goose", "bread", "never"]}
    truth = [0.0, 1.0, 0.0, np.nan] * 10
    predicted = predict_with_tfidf(table(truth), folds, **names)
    np.testing.assert_allclose(predicted.sum(axis=1), 1.0)
    assert (predicted[:, 2] == 0.0).all(), "a class without a row"
    assert (predicted[::4, 0] > 0.8).all() and (predicted[1::4, 1] > 0.8).all()
    values = [10.0, -5.0, 10.0, np.nan] * 10
    predicted = predict_with_tfidf(table(values), folds, kind="regression")[:, 0]
    assert (predicted[::4] > 7).all() and (predicted[1::4] < -2).all()
