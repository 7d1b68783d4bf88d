"""How certain the difference of two scores on the same rows is."""

from __future__ import annotations

import numpy as np

from auxfold.blending.metric import ScoreFunction, select_rows


def gain_intervals(
    score: ScoreFunction,
    n_rows: int,
    predictions: list[dict[str, np.ndarray]],
    baseline: dict[str, np.ndarray],
    *,
    sign: int,
    draws: int,
    seed: int,
) -> list[tuple[float | None, float | None]]:
    """95 % percentile intervals of the gain of predictions over a baseline (Efron 1979).

    Each sample draws rows with replacement, the same ones for all predictions and the baseline, so
    that a sample of difficult rows is difficult for both. Samples on which the score is undefined
    are left out.

    Args:
        score: the metric as a function of rows and predictions.
        n_rows: the number of rows.
        predictions: several predictions of all rows, each task name to ``(rows, n_outputs)``.
        baseline: the predictions that they are compared with.
        sign: 1 where a higher score is better, -1 where a lower one is.
        draws: the number of samples; 0: no interval.
        seed: the seed of the samples.

    Returns:
        The interval of each of ``predictions``, ``(low, high)``; None and None where there is none.
    """
    random = np.random.default_rng(seed)
    gains: list[list[float]] = [[] for _ in predictions]
    for _ in range(draws):
        indices = random.integers(n_rows, size=n_rows)
        baseline_score = score(indices, select_rows(baseline, indices))
        for sampled_gains, blended in zip(gains, predictions, strict=True):
            blended_score = score(indices, select_rows(blended, indices))
            if blended_score is not None and baseline_score is not None:
                sampled_gains.append(sign * (blended_score - baseline_score))
    return [_percentile_interval(sampled_gains) for sampled_gains in gains]


def _percentile_interval(values: list[float]) -> tuple[float | None, float | None]:
    if not values:
        return None, None
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
