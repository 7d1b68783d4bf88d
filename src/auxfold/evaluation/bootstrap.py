"""Scores of samples of the rows, drawn with replacement (Efron 1979), and intervals from them."""

from __future__ import annotations

import numpy as np

from auxfold.evaluation.score_function import ScoreFunction, select_rows

LEVELS = (0.025, 0.975)


def bootstrap_scores(
    score: ScoreFunction,
    folds: np.ndarray,
    predictions: list[dict[str, np.ndarray]],
    *,
    draws: int,
    seed: int,
    rows_per_draw: int | None = None,
) -> np.ndarray:
    """The scores of several predictions on samples of their rows.

    Each sample draws rows with replacement from every fold, the same ones for all predictions, so
    that a sample of difficult rows is difficult for all of them.

    Args:
        score: the metric as a function of rows and predictions.
        folds: the fold of each row, ``(rows,)``.
        predictions: several predictions of all rows, each task name to ``(rows, n_outputs)``.
        draws: the number of samples.
        seed: the seed of the samples.
        rows_per_draw: the size of a sample; as many as there are rows when left out.

    Returns:
        ``(draws, len(predictions))`` scores, NaN where one is undefined.
    """
    random = np.random.default_rng(seed)
    share = (rows_per_draw or len(folds)) / len(folds)
    indices_by_fold = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
    scores = np.empty((draws, len(predictions)))
    for draw in range(draws):
        indices = np.concatenate(
            [
                members[random.integers(len(members), size=max(1, round(share * len(members))))]
                for members in indices_by_fold
            ]
        )
        values = [score(indices, select_rows(sampled, indices)) for sampled in predictions]
        scores[draw] = [np.nan if value is None else value for value in values]
    return scores


def percentile_interval(values: np.ndarray) -> tuple[float | None, float | None]:
    """The 95 % interval of sampled values, NaN left out; None and None where none is left."""
    values = values[~np.isnan(values)]
    if not len(values):
        return None, None
    low, high = np.quantile(values, LEVELS)
    return float(low), float(high)


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
    """95 % percentile intervals of the gain of predictions over a baseline.

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
        Samples on which a score is undefined are left out.
    """
    of_no_fold = np.zeros(n_rows, dtype=int)
    scores = bootstrap_scores(score, of_no_fold, [baseline, *predictions], draws=draws, seed=seed)
    gains = sign * (scores[:, 1:] - scores[:, :1])
    return [percentile_interval(column) for column in gains.T]
