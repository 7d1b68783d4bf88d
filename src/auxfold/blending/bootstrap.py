"""How sure a difference of two scores on the same rows is."""

from __future__ import annotations

import numpy as np

from auxfold.blending.members import Score, rows_of


def gain_intervals(
    score: Score,
    n_rows: int,
    made: list[dict[str, np.ndarray]],
    baseline: dict[str, np.ndarray],
    *,
    sign: int,
    draws: int,
    seed: int,
) -> list[tuple[float | None, float | None]]:
    """95 % percentile intervals of what predictions gain over a baseline (Efron 1979).

    Rows are drawn with replacement, the same ones for all predictions and the baseline, so that
    what is hard about a sample is hard for both. Samples on which the score is undefined are left
    out.

    Args:
        score: of rows and predictions.
        n_rows: number of rows.
        made: several predictions of all rows, each task name to ``(rows, n_outputs)``.
        baseline: what they are compared with.
        sign: 1 where more is better, -1 where less is.
        draws: number of samples; 0: no interval.
        seed: of the samples.

    Returns:
        For every predictions their interval; None where there is none.
    """
    random = np.random.default_rng(seed)
    gains: list[list[float]] = [[] for _ in made]
    for _ in range(draws):
        rows = random.integers(n_rows, size=n_rows)
        start = score(rows, rows_of(baseline, rows))
        for kept, one in zip(gains, made, strict=True):
            value = score(rows, rows_of(one, rows))
            if value is not None and start is not None:
                kept.append(sign * (value - start))
    return [_percentiles(kept) for kept in gains]


def _percentiles(values: list[float]) -> tuple[float | None, float | None]:
    if not values:
        return None, None
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
