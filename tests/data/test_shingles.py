"""Shingles against sets of substrings: similarities are exact, sketches estimate them."""

from __future__ import annotations

import hypothesis
import numpy as np
from hypothesis import strategies as st

from auxfold.data.shingles import (
    N_BINS,
    SHINGLE_LENGTH,
    hash_shingles,
    jaccard_similarities,
    sketch_texts,
    split_by_size,
)


def naive_shingles(text: str) -> set[str]:
    return {text[i : i + SHINGLE_LENGTH] for i in range(len(text) - SHINGLE_LENGTH + 1)}


def naive_jaccard(first: str, second: str) -> float:
    a, b = naive_shingles(first), naive_shingles(second)
    return len(a & b) / max(len(a | b), 1)


# Few letters, so that shingles repeat; a letter outside the first plane, and a lone surrogate.
TEXTS = st.text(st.sampled_from("ab é漢😀\ud800"), max_size=40)


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(texts=st.lists(TEXTS, min_size=1, max_size=8))
def test_similarities_are_those_of_sets_of_substrings(texts):
    hashes, counts = hash_shingles(texts)
    assert counts.tolist() == [max(len(text) - 4, 0) for text in texts]
    shingles = [set(part.tolist()) for part in np.split(hashes, np.cumsum(counts)[:-1])]
    assert [len(part) for part in shingles] == [len(naive_shingles(text)) for text in texts]
    left, right = map(np.ravel, np.indices((len(texts), len(texts))))
    similarities, smaller = jaccard_similarities(texts, left, right)
    expected = [naive_jaccard(texts[i], texts[j]) for i, j in zip(left, right, strict=True)]
    assert similarities.tolist() == expected
    sizes = [len(naive_shingles(text)) for text in texts]
    assert smaller.tolist() == [min(sizes[i], sizes[j]) for i, j in zip(left, right, strict=True)]


def test_sketches_estimate_similarities_without_bias():
    random = np.random.default_rng(0)
    texts, expected = [], []
    for _ in range(400):  # pairs of which some letters differ
        first = random.choice(list("abcdefgh"), 60)
        second = np.where(random.random(60) < 0.03, "z", first)
        texts += ["".join(first), "".join(second)]
        expected.append(naive_jaccard(*texts[-2:]))
    sketches, n_filled = sketch_texts(texts)
    errors = (sketches[::2] == sketches[1::2]).mean(axis=1) - expected
    assert 0.6 < np.mean(expected) < 0.9
    assert abs(errors.mean()) < 0.01
    assert errors.std() < 1.5 * np.sqrt(0.7 * 0.3 / N_BINS)
    distinct = [len(naive_shingles(text)) for text in texts]
    assert (n_filled <= distinct).all() and (n_filled > np.array(distinct) / 2).all()


def test_a_sketch_does_not_depend_on_the_texts_around_it(monkeypatch):
    texts = [f"a text that is number {number} of some" for number in range(50)] + ["", "abcd"]
    sketches, n_filled = sketch_texts(texts)
    monkeypatch.setattr("auxfold.data.shingles._BATCH_CHARACTERS", 100)
    assert (sketch_texts(texts)[0] == sketches).all()
    assert n_filled[-2:].tolist() == [0, 0]


def test_split_by_size_fills_slices_up_to_the_limit():
    slices = list(split_by_size(np.array([3, 3, 5, 9, 1, 1]), 6))
    assert [(part.start, part.stop) for part in slices] == [(0, 2), (2, 3), (3, 4), (4, 6)]
    assert not list(split_by_size(np.array([], dtype=int), 6))
