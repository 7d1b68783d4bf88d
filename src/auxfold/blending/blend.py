"""Fit the weights of several runs by every method, and take the best one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from auxfold.blending.candidates import join_members
from auxfold.blending.members import Member
from auxfold.blending.methods import check_methods, select_methods
from auxfold.blending.nested import choose_method, fit_methods
from auxfold.blending.options import METHODS, BlendOptions
from auxfold.blending.single_runs import (
    best_single_run,
    prediction_correlations,
    score_single_runs,
)
from auxfold.blending.summary import blend_record
from auxfold.data.table import Table
from auxfold.postprocessing.fitting import evaluate_postprocess, fit_postprocess


@dataclass(frozen=True)
class FittedBlend:
    """A blend of runs and what it brings.

    Attributes:
        record: the content of ``blend.json``.
        oof: the blend's out-of-fold predictions, by id.
        gains: what thresholds and calibration bring out of fold, or None for mean ranks, which are
            no probabilities.
        unsuitable: the methods that have no meaning for the metric.
    """

    record: dict[str, Any]
    oof: pd.DataFrame
    gains: dict[str, Any] | None
    unsuitable: list[str]


def fit_blend(
    members: list[Member],
    table: Table,
    folds: np.ndarray,
    metric: str | None,
    method: str | None,
    options: BlendOptions,
    target_precisions: list[float],
) -> FittedBlend:
    """Fit weights on out-of-fold predictions.

    Args:
        members: two or more runs; the first one's labels, folds and task names hold.
        table: the first run's training rows.
        folds: their folds.
        metric: which the weights shall raise; the first run's selection metric when left out.
        method: one of ``METHODS``; the best of all when left out.
        options: how weights are fitted and judged.
        target_precisions: tune a threshold for each of them too.

    Raises:
        InputError: runs that do not belong together, or a method or metric that does not suit them.
    """
    candidates = join_members(members, table, folds, metric)
    methods = [method] if method else select_methods(METHODS, candidates, options)
    check_methods(methods, candidates, options)
    single_scores = score_single_runs(candidates, [member.name for member in members])
    best = best_single_run(candidates, single_scores)
    fitted = fit_methods(candidates, methods, best, options)
    chosen = choose_method(fitted, candidates.sign)
    correlations = prediction_correlations(candidates)
    record = blend_record(members, candidates, single_scores, fitted, chosen, correlations, options)
    id_column = members[0].experiment.data.id_column
    tasks, labels = candidates.tasks, candidates.labels
    oof = tasks.out_of_fold_frame(id_column, table.ids, folds, chosen.nested_predictions, labels)
    gains = None
    if record["average"] != "rank":
        gains = evaluate_postprocess(tasks, labels, oof, folds, target_precisions)
        record["postprocess"] = fit_postprocess(tasks, labels, oof, gains)
    unsuitable = [] if method else [name for name in METHODS if name not in methods]
    return FittedBlend(record, oof, gains, unsuitable)
