"""A peer to beat: TF-IDF and logistic regression, out of fold on the same folds.

Words and pairs of words, and characters within words: the classic strong baseline of the Toxic
Comment Classification Challenge (Kaggle, 2018), one regression per label column.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_union

from auxfold.data.table import Table


def tfidf_out_of_fold(table: Table, folds: np.ndarray) -> np.ndarray:
    """Probabilities ``(rows, label columns)`` of every row from the other folds' models.

    Missing labels are left out, soft labels and row weights count as in a task's loss.
    """
    texts = np.array([" ".join(row) for row in zip(*table.texts, strict=True)], dtype=object)
    made = np.full(table.labels.shape, np.nan)
    for fold in np.unique(folds):
        train, valid = folds != fold, folds == fold
        features = _features()
        known = features.fit_transform(texts[train])
        unknown = features.transform(texts[valid])
        for column in range(table.labels.shape[1]):
            labels, weights = table.labels[train, column], table.row_weights[train]
            made[valid, column] = _fit_predict(known, labels, weights, unknown)
    return made


def _features() -> Any:
    words = TfidfVectorizer(
        sublinear_tf=True, strip_accents="unicode", ngram_range=(1, 2), min_df=2
    )
    characters = TfidfVectorizer(
        sublinear_tf=True, analyzer="char_wb", ngram_range=(2, 5), min_df=3, max_features=100_000
    )
    return make_union(words, characters)


def _fit_predict(known: Any, labels: np.ndarray, weights: np.ndarray, unknown: Any) -> np.ndarray:
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
