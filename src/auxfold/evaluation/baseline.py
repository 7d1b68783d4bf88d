"""A baseline: TF-IDF with linear models, out of fold on the same folds.

The features are words, pairs of words, and characters within words. They are the classic strong
baseline of the Toxic Comment Classification Challenge (Kaggle, 2018). A column of probabilities
gets a logistic regression, a task of classes a multinomial one, and a number ridge regression.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression, Ridge

from auxfold.config.experiment import Experiment
from auxfold.data.sample_weights import fit_sample_weights
from auxfold.data.table import Table
from auxfold.evaluation.text_features import TextFeatures
from auxfold.tasks import Task, TaskSet
from auxfold.tasks.class_task import ClassTask


def tfidf_out_of_fold(
    experiment: Experiment,
    tasks: TaskSet,
    table: Table,
    folds: np.ndarray,
    max_cells: int | None = None,
    on_fold: Callable[[int, int], None] = lambda done, total: None,
) -> pd.DataFrame:
    """The prediction columns of the tasks for every row, by models of the other folds.

    Missing labels are left out. Soft labels and sample weights count as they do in a task's loss.

    Args:
        experiment: says how rows are weighted.
        tasks: all tasks of the experiment.
        table: its training rows.
        folds: the fold of every row, ``(rows,)``; rows with -1 are only trained on.
        max_cells: leave n-grams of characters out where all models together would read more of
            them than that; None: no limit.
        on_fold: called after each fold with the number of finished folds and of all folds.
    """
    texts = [" ".join(row) for row in zip(*table.texts, strict=True)]
    names = np.unique(folds[folds >= 0])
    n_models = len(names) * sum(task.n_outputs for task in tasks)
    features = TextFeatures(texts, None if max_cells is None else max_cells // n_models)
    columns = {c: np.full(len(table), np.nan) for task in tasks for c in task.prediction_columns}
    for number, fold in enumerate(names):
        train, valid = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        train_features, valid_features = features.split(train, valid)
        weighted = fit_sample_weights(experiment, table, train)
        for task, label_slice in tasks.items():
            task_weights = weighted.task_weights.get(task.name, np.float32(1.0))
            weights = (table.sample_weights * task_weights)[train]
            values = _fit_predict(
                task, train_features, table.labels[train, label_slice], weights, valid_features
            )
            for column, predictions in zip(task.prediction_columns, values.T, strict=True):
                columns[column][valid] = predictions
        on_fold(number + 1, len(names))
    return pd.DataFrame(columns)


def _fit_predict(
    task: Task,
    train_features: Any,
    labels: np.ndarray,
    weights: np.ndarray,
    valid_features: Any,
) -> np.ndarray:
    """Predictions ``(rows, n_outputs)`` of models that are fitted on ``labels``."""
    if isinstance(task, ClassTask):
        return _predict_classes(train_features, task.class_shares(labels), weights, valid_features)
    predict = _predict_probability if task.predicts_probabilities else _predict_number
    # The solvers leave Python, so that threads use all cores.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        columns = pool.map(
            lambda column: predict(train_features, column, weights, valid_features), labels.T
        )
        return np.stack(list(columns), axis=1)


def _predict_probability(
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


def _predict_classes(
    train_features: Any, shares: np.ndarray, weights: np.ndarray, valid_features: Any
) -> np.ndarray:
    """A row of several shares is one row per class, weighted by the share."""
    indices, classes = np.nonzero(np.nan_to_num(shares) > 0)
    predictions = np.zeros((valid_features.shape[0], shares.shape[1]))
    present = np.unique(classes)
    if len(present) < 2:
        predictions[:, present] = 1.0
        return predictions
    model = LogisticRegression(C=4.0, max_iter=300)
    sample_weight = shares[indices, classes] * weights[indices]
    model.fit(train_features[indices], classes, sample_weight=sample_weight)
    # A class without a row in these folds keeps the probability 0.
    predictions[:, model.classes_] = model.predict_proba(valid_features)
    return predictions


def _predict_number(
    train_features: Any, labels: np.ndarray, weights: np.ndarray, valid_features: Any
) -> np.ndarray:
    labeled = np.flatnonzero(~np.isnan(labels))
    if not len(labeled):
        return np.zeros(valid_features.shape[0])
    model = Ridge(alpha=1.0, solver="sparse_cg")
    model.fit(train_features[labeled], labels[labeled], sample_weight=weights[labeled])
    return model.predict(valid_features)
