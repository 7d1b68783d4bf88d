"""A baseline: TF-IDF with linear models, out of fold on the same folds.

The features are words, pairs of words, and characters within words. They are the classic strong
baseline of the Toxic Comment Classification Challenge (Kaggle, 2018). A binary column gets a
logistic regression, a multi-class task a multinomial one, and a regression column ridge regression.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_union

from auxfold.data.table import Table
from auxfold.tasks import TaskSet


def tfidf_out_of_fold(tasks: TaskSet, table: Table, folds: np.ndarray) -> pd.DataFrame:
    """The prediction columns of the tasks for every row, by models of the other folds.

    Missing labels are left out. Soft labels and sample weights count as they do in a task's loss.

    Args:
        tasks: all tasks of the experiment.
        table: its training rows.
        folds: the fold of every row, ``(rows,)``; rows with -1 are only trained on.
    """
    texts = np.array([" ".join(row) for row in zip(*table.texts, strict=True)], dtype=object)
    columns = {c: np.full(len(table), np.nan) for task in tasks for c in task.prediction_columns}
    for fold in np.unique(folds[folds >= 0]):
        is_train, is_valid = folds != fold, folds == fold
        vectorizer = _make_vectorizer()
        train_features = vectorizer.fit_transform(texts[is_train])
        valid_features = vectorizer.transform(texts[is_valid])
        for task, label_slice in tasks.items():
            no_weights = np.ones(len(table), dtype=np.float32)
            task_weights = table.task_weights.get(task.name, no_weights)
            labels = table.labels[is_train, label_slice]
            weights = (table.sample_weights * task_weights)[is_train]
            fit_predict = _FIT_PREDICT[task.kind]
            values = fit_predict(train_features, labels, weights, valid_features, task.n_outputs)
            for number, column in enumerate(task.prediction_columns):
                columns[column][is_valid] = values[:, number]
    return pd.DataFrame(columns)


def _make_vectorizer() -> Any:
    words = TfidfVectorizer(
        sublinear_tf=True, strip_accents="unicode", ngram_range=(1, 2), min_df=2
    )
    characters = TfidfVectorizer(
        sublinear_tf=True, analyzer="char_wb", ngram_range=(2, 5), min_df=3, max_features=100_000
    )
    return make_union(words, characters)


def _predict_binary(
    train_features: Any,
    labels: np.ndarray,
    weights: np.ndarray,
    valid_features: Any,
    n_outputs: int,
) -> np.ndarray:
    columns = [
        _predict_binary_column(train_features, labels[:, i], weights, valid_features)
        for i in range(n_outputs)
    ]
    return np.stack(columns, axis=1)


def _predict_binary_column(
    train_features: Any, labels: np.ndarray, weights: np.ndarray, valid_features: Any
) -> np.ndarray:
    """A soft label p is a positive row of weight p and a negative one of weight 1 - p."""
    positive, negative = np.flatnonzero(labels > 0), np.flatnonzero(labels < 1)
    indices = np.concatenate([positive, negative])
    truth = np.repeat([1, 0], [len(positive), len(negative)])
    shares = np.concatenate([labels[positive], 1 - labels[negative]]) * weights[indices]
    if len(np.unique(truth)) < 2:  # a rare label that has only one class in these folds
        return np.full(valid_features.shape[0], truth.mean() if len(truth) else 0.5)
    model = LogisticRegression(C=4.0, solver="liblinear", max_iter=300)
    model.fit(train_features[indices], truth, sample_weight=shares)
    return model.predict_proba(valid_features)[:, 1]


def _predict_multiclass(
    train_features: Any,
    labels: np.ndarray,
    weights: np.ndarray,
    valid_features: Any,
    n_outputs: int,
) -> np.ndarray:
    labeled = np.flatnonzero(~np.isnan(labels[:, 0]))
    model = LogisticRegression(C=4.0, max_iter=300)
    classes = labels[labeled, 0].astype(int)
    model.fit(train_features[labeled], classes, sample_weight=weights[labeled])
    predictions = np.zeros((valid_features.shape[0], n_outputs))
    # A class without a row in these folds keeps the probability 0.
    predictions[:, model.classes_] = model.predict_proba(valid_features)
    return predictions


def _predict_regression(
    train_features: Any,
    labels: np.ndarray,
    weights: np.ndarray,
    valid_features: Any,
    n_outputs: int,
) -> np.ndarray:
    predictions = np.empty((valid_features.shape[0], n_outputs))
    for column in range(n_outputs):
        labeled = np.flatnonzero(~np.isnan(labels[:, column]))
        model = Ridge(alpha=1.0, solver="sparse_cg")
        model.fit(train_features[labeled], labels[labeled, column], sample_weight=weights[labeled])
        predictions[:, column] = model.predict(valid_features)
    return predictions


_FIT_PREDICT = {
    "binary": _predict_binary,
    "tags": _predict_binary,
    "multiclass": _predict_multiclass,
    "ordinal": _predict_multiclass,
    "regression": _predict_regression,
}
