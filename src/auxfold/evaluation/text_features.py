"""TF-IDF features of words, pairs of words, and characters within words, fold by fold.

N-grams are counted once. Vocabulary and document frequencies of a fold are those of its training
rows only, so that the features are the ones that ``TfidfVectorizer`` gives on each fold anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

from auxfold.evaluation.token_statistics import WITHOUT_SPACES

MAX_CHARACTER_FEATURES = 100_000
MAX_SHARE_WITHOUT_SPACES = 0.3  # of the letters, where spaces divide words


class TextFeatures:
    """The counted n-grams of some texts.

    Where spaces do not divide words (Chinese, Japanese, Thai), characters alone are the words, and
    their n-grams cross the spaces.

    Args:
        texts: one string per row.
        max_entries: leave n-grams of characters out where the texts have more of them than that;
            there are several times as many as of words. None: no limit.
    """

    def __init__(self, texts: Sequence[str], max_entries: int | None = None) -> None:
        self._blocks: list[tuple[Any, int, int | None]] = []
        if has_spaces(texts):
            words = CountVectorizer(strip_accents="unicode", ngram_range=(1, 2), dtype=np.float32)
            self._blocks.append((_count(words, texts), 2, None))
            characters = _count_within_words(texts, (2, 5))
            if max_entries is None or characters.nnz <= max_entries:
                self._blocks.append((characters, 3, MAX_CHARACTER_FEATURES))
        else:
            vectorizer = CountVectorizer(analyzer="char", ngram_range=(1, 3), dtype=np.float32)
            self._blocks.append((_count(vectorizer, texts), 2, MAX_CHARACTER_FEATURES))

    def split(self, train: np.ndarray, valid: np.ndarray) -> tuple[Any, Any]:
        """The features of rows to train on and of rows to predict, as sparse matrices.

        Args:
            train: row numbers.
            valid: row numbers.
        """
        train_blocks, valid_blocks = [], []
        for counts, min_rows, max_features in self._blocks:
            of_train, of_valid = counts[train], counts[valid]
            columns = _frequent_columns(of_train, min_rows, max_features)
            if not len(columns):
                continue
            transformer = TfidfTransformer(sublinear_tf=True)
            train_blocks.append(transformer.fit_transform(of_train[:, columns]))
            valid_blocks.append(transformer.transform(of_valid[:, columns]))
        if not train_blocks:  # no n-gram in two rows: one feature that says nothing
            return csr_matrix((len(train), 1)), csr_matrix((len(valid), 1))
        return hstack(train_blocks).tocsr(), hstack(valid_blocks).tocsr()


def has_spaces(texts: Sequence[str]) -> bool:
    """Whether spaces divide the words of texts: of most letters' scripts they do."""
    letters = "".join("".join(texts).split())
    return len(WITHOUT_SPACES.findall(letters)) <= MAX_SHARE_WITHOUT_SPACES * len(letters)


def _count(vectorizer: CountVectorizer, texts: Sequence[str]) -> Any:
    try:
        return vectorizer.fit_transform(texts).tocsr()
    except ValueError as error:
        if "empty vocabulary" not in str(error):
            raise
        return csr_matrix(np.zeros((len(texts), 0), dtype=np.float32))


def _count_within_words(texts: Sequence[str], ngram_range: tuple[int, int]) -> Any:
    """The counts of ``analyzer="char_wb"``, from one count of each word's n-grams.

    That takes a tenth of the time, since texts repeat their words.
    """
    words = CountVectorizer(tokenizer=str.split, token_pattern=None, dtype=np.float32)
    counts = _count(words, texts)
    if not counts.shape[1]:
        return counts
    characters = CountVectorizer(analyzer="char_wb", ngram_range=ngram_range, dtype=np.float32)
    return (counts @ _count(characters, words.get_feature_names_out())).tocsr()


def _frequent_columns(counts: Any, min_rows: int, max_features: int | None) -> np.ndarray:
    """The features in at least ``min_rows`` rows; of more than that, those that are most often."""
    columns = np.flatnonzero(np.bincount(counts.indices, minlength=counts.shape[1]) >= min_rows)
    if max_features is None or len(columns) <= max_features:
        return columns
    totals = np.bincount(counts.indices, weights=counts.data, minlength=counts.shape[1])
    return np.sort(columns[np.argsort(-totals[columns].astype(np.int64))[:max_features]])
