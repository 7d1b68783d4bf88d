"""Weights of several models that make a score as high as it gets: two searches without gradients.

Both take a function from weights ``(models,)``, which sum to one, to a score, of which more is
better. Nothing is drawn at random: the same function gives the same weights.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Objective = Callable[[np.ndarray], float]

MIN_RELATIVE_GAIN = 1e-6  # a step helps when it brings more than this share of the score
LEAST_SUM = 0.5  # taking weight away ends here: nearer to zero, weights would grow without limit


def hill_climb(score: Objective, n: int, step: float, negative: bool) -> np.ndarray:
    """Greedy selection with replacement (Caruana et al. 2004, *Ensemble selection*).

    Starts with weight 1 for the best single model. Every step adds ``step`` to the weight of the
    model that raises the score most (of equal ones the first), and the weights are divided by their
    sum; it ends when no step helps. With ``step = 1`` models are added as often as they were, as in
    the paper; a smaller step adds a share of one.

    Args:
        score: what is to be raised.
        n: number of models.
        step: weight added by a step.
        negative: a step may take weight away too, also below zero.

    Returns:
        Weights ``(n,)`` that sum to one.
    """
    alone = [score(weights) for weights in np.eye(n)]
    best = int(np.argmax(alone))
    highest, counts = alone[best], np.zeros(n)  # in steps: sums of many small ones would drift

    def weights_of(counts: np.ndarray) -> np.ndarray:
        return np.eye(n)[best] + step * counts

    while True:
        moves = [counts + move for sign in (1, -1)[: 1 + negative] for move in sign * np.eye(n)]
        moves = [move for move in moves if weights_of(move).sum() >= LEAST_SUM]
        scores = [score(weights_of(move) / weights_of(move).sum()) for move in moves]
        first = int(np.argmax(scores))
        if not scores[first] > highest + MIN_RELATIVE_GAIN * abs(highest):
            return weights_of(counts) / weights_of(counts).sum()
        highest, counts = scores[first], moves[first]


def nelder_mead(score: Objective, n: int, negative: bool) -> np.ndarray:
    """The simplex search of Nelder and Mead (1965), from equal weights.

    It moves in the plane of weights that sum to one; the first simplex goes from equal weights half
    of the way to each model alone. Without ``negative``, weights below zero count as zero and the
    others are divided by their sum.

    Returns:
        Weights ``(n,)`` that sum to one; equal ones if nothing scores better.
    """
    from scipy.optimize import minimize

    def weights_of(free: np.ndarray) -> np.ndarray:
        weights = np.append(free, 1 - free.sum())
        if negative:
            return weights
        weights = np.maximum(weights, 0.0)  # one is above zero: they sum to one before
        return weights / weights.sum()

    equal = np.full(n, 1 / n)
    corners = [equal, *((equal + one) / 2 for one in np.eye(n)[:-1])]
    found = minimize(
        lambda free: -score(weights_of(free)),
        equal[:-1],
        method="Nelder-Mead",
        options={
            "initial_simplex": np.array([corner[:-1] for corner in corners]),
            "xatol": 1e-3,
            "fatol": MIN_RELATIVE_GAIN * max(abs(score(equal)), 1e-12),
            "maxfev": 200 * n,
        },
    )
    made = weights_of(found.x)
    return made if score(made) > score(equal) else equal
