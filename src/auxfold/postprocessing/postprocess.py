"""Thresholds and calibration of a run or a blend: what they bring, and what prediction reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from auxfold.errors import InputError
from auxfold.postprocessing.calibration import calibration_scores, fit_calibration
from auxfold.postprocessing.thresholds import tune_for_precision, tune_thresholds
from auxfold.storage.atomic import read_json
from auxfold.storage.run_folder import FoldFolder, RunFolder
from auxfold.tasks import Task


def judge_postprocess(
    tasks: list[Task],
    labels: np.ndarray,
    oof: pd.DataFrame,
    folds: np.ndarray,
    precisions: Iterable[float] = (),
) -> dict[str, Any]:
    """What thresholds and calibration bring, every row by what the other folds' rows gave.

    Args:
        tasks: whose columns ``labels`` has, one after the other.
        labels: ``(rows, columns)``.
        oof: out-of-fold predictions of the same rows.
        folds: their folds.
        precisions: for each of them thresholds are tuned, see ``tune_for_precision``.

    Returns:
        ``calibration`` (see ``calibration_scores``), ``thresholds`` where there is a binary task
        (see ``tune_thresholds``), ``precision`` where asked for (by rule, ``precision=P``).
    """
    record: dict[str, Any] = {}
    if thresholds := tune_thresholds(tasks, labels, oof, folds):
        record["thresholds"] = thresholds
    record["calibration"] = calibration_scores(tasks, labels, oof, folds)
    if told := {p: tune_for_precision(tasks, labels, oof, folds, p) for p in precisions}:
        record["precision"] = {f"precision={p:g}": one for p, one in told.items()}
    return record


def fit_postprocess(
    tasks: list[Task], labels: np.ndarray, oof: pd.DataFrame, record: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """What is applied to new predictions, fitted on all out-of-fold rows.

    Args:
        tasks: as in :func:`judge_postprocess`, like ``labels`` and ``oof``.
        labels: ``(rows, columns)``.
        oof: out-of-fold predictions of the same rows.
        record: what :func:`judge_postprocess` gave, for its thresholds.

    Returns:
        Label column to ``calibration`` by method and ``thresholds`` by rule, ``f1`` and
        ``precision=P``.
    """
    rules = {"f1": record.get("thresholds", {}).get("values", {})}
    rules |= {rule: told["values"] for rule, told in record.get("precision", {}).items()}
    columns: dict[str, dict[str, Any]] = {}
    for column, calibration in fit_calibration(tasks, labels, oof).items():
        thresholds = {rule: values[column] for rule, values in rules.items() if column in values}
        columns[column] = {"calibration": calibration, "thresholds": thresholds}
    return columns


def postprocess_file(folder: RunFolder, columns: dict[str, Any], rows: int) -> dict[str, Any]:
    """``postprocess.json`` of a run: the columns, and which folds they are of."""
    run = read_json(folder.fold(0).run)
    return {
        "experiment_fingerprint": run["experiment_fingerprint"],
        "data_fingerprint": run["data_fingerprint"],
        "rows": rows,
        "columns": columns,
    }


def stored_postprocess(folder: RunFolder, fold: FoldFolder) -> dict[str, Any]:
    """``postprocess.json`` of a run, known to be of its folds.

    Raises:
        InputError: there is none, or it is of other folds than this one.
    """
    if not folder.postprocess.is_file():
        raise InputError(
            f"no {folder.postprocess} with thresholds and calibration; run scripts/evaluate.py "
            f"first"
        )
    told, run = read_json(folder.postprocess), read_json(fold.run)
    for what in ("experiment_fingerprint", "data_fingerprint"):
        if told[what] != run[what]:
            raise InputError(
                f"{folder.postprocess} is of other folds than these; run scripts/evaluate.py again"
            )
    return told
