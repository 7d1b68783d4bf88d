"""Groups of near-equal texts against a comparison of all pairs."""

from __future__ import annotations

from itertools import combinations

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from auxfold.data import near_duplicates
from auxfold.data.near_duplicates import MIN_SHINGLES, N_BINS, band_size, group_near_duplicates


def naive_shingles(text: str) -> set[str]:
    return {text[i : i + 5] for i in range(len(text) - 4)}


def naive_jaccard(first: str, second: str) -> float:
    a, b = naive_shingles(first), naive_shingles(second)
    return len(a & b) / max(len(a | b), 1)


def all_pairs_groups(texts: list[str], similarity: float) -> list[int]:
    """The index of the first text of each one's component, from all pairs."""
    groups = list(range(len(texts)))
    for i, j in combinations(range(len(texts)), 2):
        enough = min(len(naive_shingles(texts[i])), len(naive_shingles(texts[j]))) >= MIN_SHINGLES
        if enough and naive_jaccard(texts[i], texts[j]) >= similarity:
            low, high = sorted((groups[i], groups[j]))
            groups = [low if group == high else group for group in groups]
    return groups


def noisy_copies(seed: int, n_originals: int = 12, n_copies: int = 4) -> list[str]:
    """Texts of 15 to 120 letters, and copies of which up to a tenth of the letters differ."""
    random = np.random.default_rng(seed)
    texts = []
    for _ in range(n_originals):
        letters = random.choice(list("etaoinshr"), random.integers(15, 120))
        texts.append("".join(letters))
        for share in random.random(n_copies) * 0.1:
            changed = random.random(len(letters)) < share
            texts.append("".join(np.where(changed, random.choice(list("xyz"), 1), letters)))
    return list(dict.fromkeys(random.permutation(texts).tolist()))


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(seed=st.integers(0, 10_000), similarity=st.sampled_from([0.6, 0.8, 0.9]))
def test_groups_are_those_of_all_pairs(seed, similarity):
    texts = noisy_copies(seed)
    assert group_near_duplicates(texts, similarity).tolist() == all_pairs_groups(texts, similarity)


def test_texts_below_twenty_shingles_are_never_near_equal():
    short, long = "abcdefghijklmnopqrstuvw", "abcdefghijklmnopqrstuvwx"  # 19 and 20 shingles
    assert len(naive_shingles(short)) == 19 and naive_jaccard(short, long) == 0.95
    assert group_near_duplicates([short, long], 0.8).tolist() == [0, 1]
    assert group_near_duplicates([long, long + "y"], 0.8).tolist() == [0, 0]
    # Long, but of four different shingles only.
    assert group_near_duplicates(["haha" * 20, "haha" * 30], 0.8).tolist() == [0, 1]
    assert group_near_duplicates(["", "a"], 0.8).tolist() == [0, 1]
    assert group_near_duplicates([], 0.8).tolist() == []


def test_a_chain_is_one_group():
    letters = "".join(np.random.default_rng(0).choice(list("abcdefghij"), 200))
    texts = [letters[start : start + 100] for start in range(0, 100, 8)]
    assert naive_jaccard(texts[0], texts[1]) > 0.8 > naive_jaccard(texts[0], texts[2])
    assert group_near_duplicates(texts, 0.8).tolist() == [0] * len(texts)


@pytest.mark.parametrize("similarity", [0.6, 0.7, 0.8, 0.9, 0.99])
def test_bands_propose_nearly_all_pairs_at_the_threshold(similarity):
    size = band_size(similarity)
    assert 1 - (1 - similarity**size) ** (N_BINS // size) >= 0.999
    if size < 8:
        assert 1 - (1 - similarity ** (size + 1)) ** (N_BINS // (size + 1)) < 0.999


def test_crowded_buckets_still_join_what_belongs_together(monkeypatch):
    # All texts share most of their shingles, and more of them than are compared in one bucket.
    random = np.random.default_rng(3)
    template = "".join(random.choice(list("abcdefghij"), 120))
    noise = ["".join(random.choice(list("klmnopqrst"), 45)) for _ in range(60)]
    texts = [template + text for text in noise] + [template + text[:-1] + "x" for text in noise]
    assert naive_jaccard(texts[0], texts[1]) < 0.8 < naive_jaccard(texts[0], texts[60])
    monkeypatch.setattr(near_duplicates, "MAX_NEIGHBORS", 5)
    assert group_near_duplicates(texts, 0.8).tolist() == [*range(60)] * 2
