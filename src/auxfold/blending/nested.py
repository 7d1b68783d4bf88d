"""What blending brings, estimated on rows that took no part in fitting the weights.

The *nested* score of a method is that of rows that are blended by weights fitted on the rows of the
other folds. The score by weights fitted on all rows is ``in_sample``. Both are the same for methods
of equal weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from auxfold.blending.candidates import Candidates
from auxfold.blending.options import BlendOptions
from auxfold.blending.weights import blend_predictions, fit_weights, scale_predictions
from auxfold.errors import InputError
from auxfold.evaluation.bootstrap import gain_intervals


@dataclass(frozen=True)
class FittedMethod:
    """One method, fitted on the candidates.

    Attributes:
        method: its name.
        average: the scale on which it averages.
        weights: label column to ``(members,)``, fitted on all rows.
        nested_predictions: task name to ``(rows, n_outputs)``, each row blended by weights that
            were fitted on the other folds.
        scores: ``in_sample``, ``nested``, ``folds`` (the nested score of each fold) and their
            ``mean``, and ``gain`` over the best single run with the interval ``low`` to ``high``.
    """

    method: str
    average: str
    weights: dict[str, np.ndarray]
    nested_predictions: dict[str, np.ndarray]
    scores: dict[str, Any]


def fit_methods(
    candidates: Candidates, methods: list[str], best_single: int, options: BlendOptions
) -> list[FittedMethod]:
    """Fit every method, and compare it with the best single run.

    Args:
        candidates: the runs.
        methods: some of ``methods.METHODS``, checked by ``check_methods``.
        best_single: the index of the run that gains are measured against.
        options: how weights are fitted.

    Raises:
        InputError: the metric is undefined on the rows.
    """
    fitted = [_fit_method(candidates, method, options) for method in methods]
    baseline = candidates.member_predictions(best_single)
    baseline_score = candidates.score(np.arange(candidates.n_rows), baseline)
    if baseline_score is None:
        raise InputError(f"--metric {candidates.metric} is undefined on these rows")
    intervals = gain_intervals(
        candidates.score, candidates.n_rows, [f.nested_predictions for f in fitted], baseline,
        sign=candidates.sign, draws=options.draws, seed=options.seed,
    )  # fmt: skip
    compared = []
    for method, (low, high) in zip(fitted, intervals, strict=True):
        nested = method.scores["nested"]
        gain = None if nested is None else candidates.sign * (nested - baseline_score)
        scores = {**method.scores, "gain": gain, "low": low, "high": high}
        compared.append(replace(method, scores=scores))
    return compared


def choose_method(fitted: list[FittedMethod], sign: int) -> FittedMethod:
    """The method with the best nested score; among equal ones the first, which is the simplest.

    Args:
        fitted: the methods, from simple to complex.
        sign: 1 where a higher score is better, -1 where a lower one is.
    """
    scores = [method.scores["nested"] for method in fitted]
    return fitted[int(np.argmax([-np.inf if s is None else sign * s for s in scores]))]


def _fit_method(candidates: Candidates, method: str, options: BlendOptions) -> FittedMethod:
    average, power = options.average_of(method), options.power
    scaled = scale_predictions(candidates, average, power)
    all_indices = np.arange(candidates.n_rows)
    weights = fit_weights(candidates, scaled, all_indices, method, options)
    nested = {task.name: np.empty_like(scaled[task.name][0]) for task in candidates.tasks}
    for fold in np.unique(candidates.folds):
        fold_indices = np.flatnonzero(candidates.folds == fold)
        other_indices = np.flatnonzero(candidates.folds != fold)
        fold_weights = fit_weights(candidates, scaled, other_indices, method, options)
        blended = blend_predictions(candidates, scaled, fold_indices, fold_weights, average, power)
        for name, values in blended.items():
            nested[name][fold_indices] = values
    in_sample = blend_predictions(candidates, scaled, all_indices, weights, average, power)
    nested_scores = candidates.compute_scores(nested)
    scores = {
        "in_sample": candidates.score(all_indices, in_sample),
        "nested": nested_scores["oof"],
        "folds": nested_scores["folds"],
        "mean": nested_scores["mean"],
    }
    return FittedMethod(method, average, weights, nested, scores)
