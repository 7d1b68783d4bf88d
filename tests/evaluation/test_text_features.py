"""Counted once, the features of a fold are those of scikit-learn's vectorizers on its rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from auxfold.evaluation.text_features import TextFeatures, has_spaces

TEXTS = [
    "Silly goose, silly!", "a good   bread\tand rain", "the goose is a bird", "A garden",
    "rain and bread", "", "no café and no bread", "good bread, good rain", "I o u", "the the the",
]  # fmt: skip
CHINESE = ["我喜欢这本书", "这本书很好", "电影不好看", "我不喜欢电影", "书很好看", "这部电影很好"]


def test_the_features_are_those_of_each_folds_own_vectorizers():
    train, valid = np.array([0, 1, 2, 4, 6, 7, 8, 9]), np.array([3, 5])
    of_train, of_valid = TextFeatures(TEXTS).split(train, valid)
    expected = []
    for settings in (
        {"strip_accents": "unicode", "ngram_range": (1, 2), "min_df": 2},
        {"analyzer": "char_wb", "ngram_range": (2, 5), "min_df": 3},
    ):
        vectorizer = TfidfVectorizer(sublinear_tf=True, **settings)
        features = vectorizer.fit_transform([TEXTS[i] for i in train])
        expected.append((features, vectorizer.transform([TEXTS[i] for i in valid])))
    for ours, number in ((of_train, 0), (of_valid, 1)):
        theirs = np.hstack([pair[number].toarray() for pair in expected])
        np.testing.assert_allclose(ours.toarray(), theirs, atol=1e-6)


def test_characters_are_left_out_where_there_are_too_many():
    rows = np.arange(len(TEXTS))
    all_features, _ = TextFeatures(TEXTS).split(rows, rows)
    words, _ = TextFeatures(TEXTS, max_entries=10).split(rows, rows)
    vectorizer = TfidfVectorizer(strip_accents="unicode", ngram_range=(1, 2), min_df=2)
    assert words.shape[1] == len(vectorizer.fit(TEXTS).vocabulary_) < all_features.shape[1]


def test_texts_without_spaces_have_characters_for_words():
    assert not has_spaces(CHINESE) and has_spaces(TEXTS) and has_spaces(["", ""])
    assert has_spaces(["Donaudampfschifffahrtsgesellschaft ist ein langes Wort im Deutschen"])
    rows = np.arange(len(CHINESE))
    features, _ = TextFeatures(CHINESE).split(rows, rows)
    book = [i for i, text in enumerate(CHINESE) if "书" in text]
    similarity = (features @ features.T).toarray()
    assert similarity[book[0], book[1]] > similarity[book[0], 2]
    assert (similarity.sum(axis=1) > 1).all(), "every text shares something"


@pytest.mark.parametrize("texts", [[""] * 6, ["!"] * 6, ["ab", "cd", "ef", "gh", "ij", "kl"]])
def test_an_empty_vocabulary_is_a_feature_that_says_nothing(texts):
    train, valid = TextFeatures(texts).split(np.arange(4), np.arange(4, 6))
    assert train.shape[0] == 4 and valid.shape[0] == 2 and train.shape[1] == valid.shape[1] >= 1
    assert np.isfinite(train.toarray()).all()
