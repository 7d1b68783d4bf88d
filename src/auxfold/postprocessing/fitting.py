"""Thresholds and calibration of a run or a blend: what they bring, and what inference applies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from auxfold.postprocessing.calibration import evaluate_calibration, fit_calibrators
from auxfold.postprocessing.cut_points import QWK, tune_cut_points
from auxfold.postprocessing.thresholds import tune_for_precision, tune_thresholds
from auxfold.tasks import TaskSet


def evaluate_postprocess(
    tasks: TaskSet,
    labels: np.ndarray,
    oof: pd.DataFrame,
    folds: np.ndarray,
    precisions: Iterable[float] = (),
) -> dict[str, Any]:
    """What thresholds and calibration bring to each row when they are fitted on the other folds.

    Args:
        tasks: the tasks of the predictions.
        labels: ``Table.labels``, ``(rows, label columns)``.
        oof: out-of-fold predictions of the same rows.
        folds: the fold of each row, ``(rows,)``.
        precisions: the target precisions to tune thresholds for, see ``tune_for_precision``.

    Returns:
        ``calibration`` (see ``evaluate_calibration``), ``thresholds`` where there is a binary task
        (see ``tune_thresholds``), ``cut_points`` where a task has such (see ``tune_cut_points``),
        ``precision`` where there are target precisions (by rule, ``precision=P``).
    """
    record: dict[str, Any] = {}
    if thresholds := tune_thresholds(tasks, labels, oof, folds):
        record["thresholds"] = thresholds
    if cut_points := tune_cut_points(tasks, labels, oof, folds):
        record["cut_points"] = cut_points
    record["calibration"] = evaluate_calibration(tasks, labels, oof, folds)
    by_rule = {
        f"precision={precision:g}": tune_for_precision(tasks, labels, oof, folds, precision)
        for precision in precisions
    }
    if by_rule:
        record["precision"] = by_rule
    return record


def fit_postprocess(
    tasks: TaskSet, labels: np.ndarray, oof: pd.DataFrame, record: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Calibrators and thresholds for new predictions, fitted on all out-of-fold rows.

    Args:
        tasks: the tasks of the predictions.
        labels: ``Table.labels``, ``(rows, label columns)``.
        oof: out-of-fold predictions of the same rows.
        record: what :func:`evaluate_postprocess` returned; its thresholds are taken over.

    Returns:
        Target to ``calibration`` by method and ``thresholds`` by rule: ``f1`` and ``precision=P``,
        or ``qwk`` with the cut points.
    """
    rules = {"f1": record.get("thresholds", {}).get("values", {})}
    rules |= {rule: tuned["values"] for rule, tuned in record.get("precision", {}).items()}
    columns: dict[str, dict[str, Any]] = {}
    for column, calibration in fit_calibrators(tasks, labels, oof).items():
        thresholds = {rule: values[column] for rule, values in rules.items() if column in values}
        columns[column] = {"calibration": calibration, "thresholds": thresholds}
    for column, cut_points in record.get("cut_points", {}).get("values", {}).items():
        stored = columns.setdefault(column, {"calibration": {}, "thresholds": {}})
        stored["thresholds"][QWK] = cut_points
    return columns
