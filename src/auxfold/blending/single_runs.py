"""The runs before they are blended: their scores, and how alike their predictions are."""

from __future__ import annotations

from typing import Any

import numpy as np

from auxfold.blending.candidates import Candidates


def score_single_runs(candidates: Candidates, names: list[str]) -> dict[str, dict[str, Any]]:
    """Run name to the scores of the run on its own: all rows, each fold, and the folds' mean."""
    return {
        name: candidates.compute_scores(candidates.member_predictions(member))
        for member, name in enumerate(names)
    }


def best_single_run(candidates: Candidates, single_scores: dict[str, dict[str, Any]]) -> int:
    """The index of the run with the best score on all rows; among equal ones the first."""
    scores = [
        -np.inf if scores["oof"] is None else candidates.sign * scores["oof"]
        for scores in single_scores.values()
    ]
    return int(np.argmax(scores))


def prediction_correlations(candidates: Candidates) -> list[list[float | None]]:
    """Pearson correlations of the runs' predictions, the mean over the predicted columns.

    Returns:
        A row and a column per run; None where a column of predictions is constant.
    """
    columns = [p[:, :, i] for p in candidates.predictions.values() for i in range(p.shape[2])]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.mean([np.corrcoef(column) for column in columns], axis=0)
    return [[float(v) if np.isfinite(v) else None for v in row] for row in means]
