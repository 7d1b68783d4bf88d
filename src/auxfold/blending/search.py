"""Searches for the weights of several models that maximize a score, without gradients.

Both searches take a function from weights ``(models,)``, which sum to one, to a score that is
better when it is higher. They draw nothing at random: the same function gives the same weights.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Objective = Callable[[np.ndarray], float]

MIN_RELATIVE_GAIN = 1e-6  # a step helps if it raises the score by more than this share of it
MIN_WEIGHT_SUM = 0.5  # no step takes more weight away: nearer to zero, weights would grow unlimited


def hill_climb(score: Objective, n: int, step: float, negative: bool) -> np.ndarray:
    """Greedy selection with replacement (Caruana et al. 2004, *Ensemble selection*).

    The search starts with weight 1 for the best single model. Every step adds ``step`` to the
    weight of the model that raises the score most (among equal ones the first), and the weights are
    divided by their sum. The search ends when no step helps. With ``step = 1`` every step adds a
    whole model, as in the paper; a smaller step adds a fraction of one.

    Args:
        score: the function to maximize.
        n: the number of models.
        step: the weight that a step adds.
        negative: whether a step may also take weight away, even below zero.

    Returns:
        Weights ``(n,)`` that sum to one.
    """
    single_scores = [score(weights) for weights in np.eye(n)]
    best = int(np.argmax(single_scores))
    # Counts of steps, not weights: sums of many small steps would drift.
    best_score, counts = single_scores[best], np.zeros(n)

    def to_weights(counts: np.ndarray) -> np.ndarray:
        return np.eye(n)[best] + step * counts

    while True:
        moves = [counts + move for sign in (1, -1)[: 1 + negative] for move in sign * np.eye(n)]
        moves = [move for move in moves if to_weights(move).sum() >= MIN_WEIGHT_SUM]
        scores = [score(to_weights(move) / to_weights(move).sum()) for move in moves]
        first = int(np.argmax(scores))
        if not scores[first] > best_score + MIN_RELATIVE_GAIN * abs(best_score):
            return to_weights(counts) / to_weights(counts).sum()
        best_score, counts = scores[first], moves[first]


def nelder_mead(score: Objective, n: int, negative: bool) -> np.ndarray:
    """The simplex search of Nelder and Mead (1965), from equal weights.

    The search moves in the plane of weights that sum to one. Each corner of the first simplex but
    one lies half-way between equal weights and a single model. Without ``negative``, weights below
    zero count as zero and the others are divided by their sum.

    Args:
        score: the function to maximize.
        n: the number of models.
        negative: whether weights may be below zero.

    Returns:
        Weights ``(n,)`` that sum to one; equal ones if nothing scores better.
    """
    from scipy.optimize import minimize

    def to_weights(free: np.ndarray) -> np.ndarray:
        weights = np.append(free, 1 - free.sum())
        if negative:
            return weights
        weights = np.maximum(weights, 0.0)  # they summed to one, so that at least one is above zero
        return weights / weights.sum()

    def loss(free: np.ndarray) -> float:
        return -score(to_weights(free))

    equal = np.full(n, 1 / n)
    corners = [equal, *((equal + single) / 2 for single in np.eye(n)[:-1])]
    result = minimize(
        loss,
        equal[:-1],
        method="Nelder-Mead",
        options={
            "initial_simplex": np.array([corner[:-1] for corner in corners]),
            "xatol": 1e-3,
            "fatol": MIN_RELATIVE_GAIN * max(abs(score(equal)), 1e-12),
            "maxfev": 200 * n,
        },
    )
    weights = to_weights(result.x)
    return weights if score(weights) > score(equal) else equal
