"""Probabilities that mean what they say: temperature and isotonic calibration, out of fold.

What is applied is numpy alone, since it is part of prediction; what is fitted needs scipy and
scikit-learn.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from auxfold.postprocessing.averaging import logits_of
from auxfold.tasks import Task, label_slices
from auxfold.tasks.metrics import class_log_loss, log_loss

METHODS_OF = {"binary": ("temperature", "isotonic"), "multiclass": ("temperature",)}
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0  # temperatures that are looked at
BINS = 10


def apply_temperature(
    task: Task, predictions: np.ndarray, temperature: float | np.ndarray
) -> np.ndarray:
    """Predictions ``(rows, n_outputs)`` with their logits divided by a temperature.

    Above 1 they become less sure. The order of the rows stays (Guo et al. 2017).
    """
    return task.activate(logits_of(task, predictions) / temperature)


def isotonic(values: np.ndarray, knots: dict[str, list[float]]) -> np.ndarray:
    """``(rows,)`` through a rising, piecewise linear function; level beyond its ends."""
    return np.interp(values, knots["x"], knots["y"])


def fit_temperature(task: Task, labels: np.ndarray, predictions: np.ndarray) -> float:
    """The temperature with the lowest log loss; soft labels count as they are.

    Args:
        task: of one column.
        labels: ``(rows,)``, NaN where not labelled.
        predictions: ``(rows, n_outputs)``.

    Returns:
        A number between 0.05 and 20; 1.0 where no row is labelled, or all are alike.
    """
    from scipy.optimize import minimize_scalar

    known = ~np.isnan(labels)
    y = labels[known]
    if len(y) == 0 or y.min() == y.max():
        return 1.0
    loss, logits = _log_loss_of(task), logits_of(task, predictions[known])

    def loss_at(log_temperature: float) -> float:
        return loss(y, _plain(task, task.activate(logits / np.exp(log_temperature))))

    bounds = (np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE))
    return float(np.exp(minimize_scalar(loss_at, bounds=bounds, method="bounded").x))


def fit_isotonic(labels: np.ndarray, values: np.ndarray) -> dict[str, list[float]]:
    """The rising function nearest to the labels in squares (Zadrozny and Elkan 2002).

    It stays half a row away from 0 and 1: rows without a positive among them do not make one
    impossible.

    Args:
        labels: ``(rows,)`` in [0, 1], NaN where not labelled.
        values: ``(rows,)`` probabilities.

    Returns:
        Its corners, ``x`` rising and ``y``; the identity where no row is labelled.
    """
    from sklearn.isotonic import IsotonicRegression

    known = ~np.isnan(labels)
    if not known.any():
        return {"x": [0.0, 1.0], "y": [0.0, 1.0]}
    edge = 0.5 / known.sum()
    model = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip")
    model.fit(values[known], labels[known].astype(np.float64))
    return {"x": model.X_thresholds_.tolist(), "y": model.y_thresholds_.tolist()}


def reliability(
    labels: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean prediction, mean label and number of rows, in ten equal ranges of predictions.

    Ranges without a labelled row are left out.
    """
    known = ~np.isnan(labels)
    labels, values = labels[known], values[known]
    place = np.minimum((values * BINS).astype(int), BINS - 1)
    ranges = [np.flatnonzero(place == number) for number in np.unique(place)]
    told = np.array([values[rows].mean() for rows in ranges])
    found = np.array([labels[rows].mean() for rows in ranges])
    return told, found, np.array([len(rows) for rows in ranges])


def calibration_error(labels: np.ndarray, values: np.ndarray) -> float | None:
    """Expected calibration error: how far mean prediction and mean label are apart, by range.

    Weighted by the ranges' rows (Naeini et al. 2015); None without labels.
    """
    told, found, counts = reliability(labels, values)
    return float(np.average(np.abs(told - found), weights=counts)) if len(counts) else None


def calibration_scores(
    tasks: list[Task], labels: np.ndarray, oof: pd.DataFrame, folds: np.ndarray
) -> dict[str, Any]:
    """What calibration brings, every row calibrated by what the other folds' rows gave.

    Args:
        tasks: all tasks of the experiment.
        labels: as in ``Table.labels``.
        oof: out-of-fold predictions of the same rows.
        folds: their folds.

    Returns:
        Label column to ``task``, ``log_loss``, ``ece`` and ``curves``, each a dictionary with
        ``raw`` and the methods; ``curves`` are mean predictions and mean labels, of classes mean
        confidence and accuracy. Regression columns have none; with one fold there is ``raw`` alone.
    """
    made: dict[str, Any] = {}
    several = len(np.unique(folds)) > 1
    for task, column, truth, values in _columns(tasks, labels, oof):
        told = {"raw": values}
        for method in METHODS_OF[task.settings.kind] if several else ():
            told[method] = np.empty_like(values)
            for fold in np.unique(folds):
                own = folds == fold
                fitted = fit(task, truth[~own], values[~own], method)
                told[method][own] = apply(task, values[own], fitted, method)
        loss = _log_loss_of(task)
        looks = {method: _look(task, truth, predicted) for method, predicted in told.items()}
        made[column] = {
            "task": task.name,
            "log_loss": {m: loss(truth, _plain(task, predicted)) for m, predicted in told.items()},
            "ece": {method: calibration_error(*look) for method, look in looks.items()},
            "curves": {
                m: [values.tolist() for values in reliability(*look)[:2]]
                for m, look in looks.items()
            },
        }
    return made


def fit_calibration(
    tasks: list[Task], labels: np.ndarray, oof: pd.DataFrame
) -> dict[str, dict[str, Any]]:
    """Label column to its calibration by method, fitted on all rows; regression has none."""
    return {
        column: {
            method: fit(task, truth, values, method) for method in METHODS_OF[task.settings.kind]
        }
        for task, column, truth, values in _columns(tasks, labels, oof)
    }


def fit(task: Task, labels: np.ndarray, predictions: np.ndarray, method: str) -> Any:
    """One method on one column: what :func:`apply` takes, and JSON can hold."""
    if method == "temperature":
        return fit_temperature(task, labels, predictions)
    return fit_isotonic(labels, predictions[:, 0])


def apply(task: Task, predictions: np.ndarray, fitted: Any, method: str) -> np.ndarray:
    """Predictions of one column, ``(rows, n_outputs)``, calibrated."""
    if method == "temperature":
        return apply_temperature(task, predictions, fitted)
    return isotonic(predictions[:, 0], fitted)[:, None]


def _columns(tasks: list[Task], labels: np.ndarray, oof: pd.DataFrame) -> list[Any]:
    """Task, label column, its labels ``(rows,)`` and its predictions ``(rows, n_outputs)``."""
    made = []
    for task, columns in label_slices(tasks):
        if task.settings.kind not in METHODS_OF:
            continue
        predictions = oof[task.prediction_columns].to_numpy()
        for place, column in enumerate(task.settings.columns):
            own = task.column_predictions(predictions, place)
            own = own[:, None] if own.ndim == 1 else own
            made.append((task, column, labels[:, columns][:, place], own))
    return made


def _log_loss_of(task: Task) -> Any:
    return class_log_loss if task.settings.kind == "multiclass" else log_loss


def _plain(task: Task, values: np.ndarray) -> np.ndarray:
    """What the metrics of a column take."""
    return values if task.settings.kind == "multiclass" else values[:, 0]


def _look(task: Task, labels: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities to compare: of classes, whether the likeliest one is right."""
    if task.settings.kind != "multiclass":
        return labels, values[:, 0]
    right = np.where(np.isnan(labels), np.nan, values.argmax(axis=1) == labels)
    return right, values.max(axis=1)
