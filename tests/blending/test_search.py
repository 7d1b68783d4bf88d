"""The two searches against their definitions and against optima that are known."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from auxfold.blending.search import hill_climb, nelder_mead


def errors(seed: int, n: int):
    """A score: minus the squared error of the weighted mean of ``n`` random models."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=30)
    models = truth + random.normal(size=(n, 30)) * random.uniform(0.5, 2.0, size=(n, 1))
    return lambda weights: -float(np.mean((weights @ models - truth) ** 2))


def caruana(score, n: int) -> np.ndarray:
    """The paper's selection with replacement, word by word: a bag of models, averaged."""
    singles = [score(np.bincount([i], minlength=n)) for i in range(n)]
    bag = [max(range(n), key=lambda i: singles[i])]
    best = max(singles)
    while True:
        tried = [score(np.bincount([*bag, i], minlength=n) / (len(bag) + 1)) for i in range(n)]
        first = max(range(n), key=lambda i: tried[i])
        if tried[first] <= best + 1e-6 * abs(best):
            return np.bincount(bag, minlength=n) / len(bag)
        bag.append(first)
        best = tried[first]


@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(seed=st.integers(0, 10_000), n=st.integers(2, 6))
def test_with_step_one_it_is_the_papers_selection(seed, n):
    score = errors(seed, n)
    np.testing.assert_allclose(hill_climb(score, n, 1.0, False), caruana(score, n), atol=1e-9)


@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(seed=st.integers(0, 10_000), n=st.integers(2, 5), negative=st.booleans())
def test_weights_sum_to_one_and_no_step_helps_any_more(seed, n, negative):
    score = errors(seed, n)
    for weights in (hill_climb(score, n, 0.1, negative), nelder_mead(score, n, negative)):
        assert weights.sum() == pytest.approx(1.0) and (negative or weights.min() >= 0)
    climbed = hill_climb(score, n, 0.1, negative)
    best_single = max(score(single) for single in np.eye(n))
    assert score(climbed) >= best_single, "it starts with the best one"
    searched = nelder_mead(score, n, negative)
    assert score(searched) >= score(np.full(n, 1 / n)), "it starts with equal weights"
    np.testing.assert_array_equal(climbed, hill_climb(score, n, 0.1, negative))


def closeness(target: list[float]):
    """A score: one minus the squared distance from a target."""
    return lambda weights: 1.0 - float(np.sum((weights - np.array(target)) ** 2))


@pytest.mark.parametrize("target", [[0.7, 0.2, 0.1], [0.0, 0.5, 0.5], [0.0, 1.0, 0.0]])
def test_both_find_an_optimum_among_the_weights(target):
    np.testing.assert_allclose(hill_climb(closeness(target), 3, 0.02, False), target, atol=0.02)
    np.testing.assert_allclose(nelder_mead(closeness(target), 3, False), target, atol=0.01)


def test_weights_below_zero_only_where_they_are_asked_for():
    target = [1.4, -0.4]
    for search in (
        lambda negative: hill_climb(closeness(target), 2, 0.05, negative),
        lambda negative: nelder_mead(closeness(target), 2, negative),
    ):
        np.testing.assert_allclose(search(True), target, atol=0.03)
        np.testing.assert_allclose(search(False), [1.0, 0.0], atol=1e-3)


def test_equal_models_the_first_one_is_taken():
    assert hill_climb(lambda w: 1.0, 3, 0.1, True).tolist() == [1.0, 0.0, 0.0]
    assert hill_climb(lambda w: float(w[1] + w[2]), 3, 0.1, False).tolist() == [0.0, 1.0, 0.0]
    np.testing.assert_allclose(nelder_mead(lambda w: 1.0, 4, False), 0.25)


def test_a_score_that_is_undefined_somewhere_is_no_obstacle():
    def score(weights):
        return -np.inf if weights[0] > 0.9 else float(weights[0])

    assert hill_climb(score, 2, 0.1, False)[0] == pytest.approx(0.9, abs=0.1)
    assert nelder_mead(score, 2, False)[0] == pytest.approx(0.9, abs=0.02)
