"""A peer to beat: TF-IDF and logistic regression, out of fold on the same folds.

Words and pairs of words, and characters within words: the classic strong baseline of the Toxic
Comment Classification Challenge (Kaggle, 2018): one logistic regression per binary column, a
multinomial one per multi-class task, ridge regression for numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_union

from auxfold.data.table import Table
from auxfold.tasks import Task, label_slices


def tfidf_out_of_fold(tasks: list[Task], table: Table, folds: np.ndarray) -> pd.DataFrame:
    """The tasks' prediction columns of every row, from the other folds' models.

    Missing labels are left out, soft labels and row weights count as in a task's loss.
    """
    texts = np.array([" ".join(row) for row in zip(*table.texts, strict=True)], dtype=object)
    made = {c: np.full(len(table), np.nan) for task in tasks for c in task.prediction_columns}
    for fold in np.unique(folds[folds >= 0]):
        train, valid = folds != fold, folds == fold
        features = _features()
        known = features.fit_transform(texts[train])
        unknown = features.transform(texts[valid])
        for task, columns in label_slices(tasks):
            own = table.task_weights.get(task.name, np.ones(len(table), dtype=np.float32))
            labels, weights = table.labels[train, columns], (table.sample_weights * own)[train]
            values = _FIT[task.settings.kind](known, labels, weights, unknown, task.n_outputs)
            for number, column in enumerate(task.prediction_columns):
                made[column][valid] = values[:, number]
    return pd.DataFrame(made)


def _features() -> Any:
    words = TfidfVectorizer(
        sublinear_tf=True, strip_accents="unicode", ngram_range=(1, 2), min_df=2
    )
    characters = TfidfVectorizer(
        sublinear_tf=True, analyzer="char_wb", ngram_range=(2, 5), min_df=3, max_features=100_000
    )
    return make_union(words, characters)


def _binary(
    known: Any, labels: np.ndarray, weights: np.ndarray, unknown: Any, n_outputs: int
) -> np.ndarray:
    columns = [_one_binary(known, labels[:, i], weights, unknown) for i in range(n_outputs)]
    return np.stack(columns, axis=1)


def _one_binary(known: Any, labels: np.ndarray, weights: np.ndarray, unknown: Any) -> np.ndarray:
    """A soft label p is a positive row of weight p and a negative one of weight 1 - p."""
    positive, negative = (np.flatnonzero(side) for side in (labels > 0, labels < 1))
    rows = np.concatenate([positive, negative])
    truth = np.repeat([1, 0], [len(positive), len(negative)])
    shares = np.concatenate([labels[positive], 1 - labels[negative]]) * weights[rows]
    if len(np.unique(truth)) < 2:  # a rare label of which these folds hold one class only
        return np.full(unknown.shape[0], truth.mean() if len(truth) else 0.5)
    model = LogisticRegression(C=4.0, solver="liblinear", max_iter=300)
    model.fit(known[rows], truth, sample_weight=shares)
    return model.predict_proba(unknown)[:, 1]


def _multiclass(
    known: Any, labels: np.ndarray, weights: np.ndarray, unknown: Any, n_outputs: int
) -> np.ndarray:
    rows = np.flatnonzero(~np.isnan(labels[:, 0]))
    model = LogisticRegression(C=4.0, max_iter=300)
    model.fit(known[rows], labels[rows, 0].astype(int), sample_weight=weights[rows])
    made = np.zeros((unknown.shape[0], n_outputs))
    made[:, model.classes_] = model.predict_proba(unknown)  # a class may be missing here
    return made


def _regression(
    known: Any, labels: np.ndarray, weights: np.ndarray, unknown: Any, n_outputs: int
) -> np.ndarray:
    made = np.empty((unknown.shape[0], n_outputs))
    for column in range(n_outputs):
        rows = np.flatnonzero(~np.isnan(labels[:, column]))
        model = Ridge(alpha=1.0, solver="sparse_cg")
        model.fit(known[rows], labels[rows, column], sample_weight=weights[rows])
        made[:, column] = model.predict(unknown)
    return made


_FIT = {"binary": _binary, "multiclass": _multiclass, "regression": _regression}
