"""Calibration of probabilities by temperature or isotonic regression, judged out of fold.

Applying a calibration needs numpy only, because it is part of inference. Fitting one needs scipy or
scikit-learn.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from auxfold.postprocessing.nested import apply_nested
from auxfold.tasks import Task, TaskSet
from auxfold.tasks.metrics import expected_calibration_error, reliability_curve

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0  # the bounds of the search


def apply_temperature(
    task: Task, predictions: np.ndarray, temperature: float | np.ndarray
) -> np.ndarray:
    """Predictions ``(rows, n_outputs)`` with their logits divided by a temperature.

    A temperature above 1 makes them less confident. The order of the rows stays the same (Guo et
    al. 2017, *On calibration of modern neural networks*).
    """
    return task.activate(task.to_logits(predictions) / temperature)


def apply_isotonic(values: np.ndarray, knots: dict[str, list[float]]) -> np.ndarray:
    """``(rows,)`` mapped by a rising, piecewise linear function that is constant beyond its ends.

    Args:
        values: ``(rows,)``.
        knots: the corners of the function, ``x`` and ``y``, as of :func:`fit_isotonic`.
    """
    return np.interp(values, knots["x"], knots["y"])


def fit_temperature(task: Task, labels: np.ndarray, predictions: np.ndarray) -> float:
    """The temperature with the lowest log loss; soft labels count as they are.

    Args:
        task: the task that the column belongs to.
        labels: ``(rows,)`` of the column, NaN where not labeled; ``(rows, classes)`` of shares.
        predictions: ``(rows, n_outputs)`` of the column.

    Returns:
        A number between 0.05 and 20; 1.0 where no row is labeled or all labels are equal.
    """
    from scipy.optimize import minimize_scalar

    known = ~np.isnan(labels) if labels.ndim == 1 else ~np.isnan(labels).any(axis=1)
    y = labels[known]
    if len(y) == 0 or y.min() == y.max():
        return 1.0
    logits = task.to_logits(predictions[known])

    def loss_at(log_temperature: float) -> float:
        loss = compute_log_loss(task, y, task.activate(logits / np.exp(log_temperature)))
        assert loss is not None  # there are labels
        return loss

    bounds = (np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE))
    return float(np.exp(minimize_scalar(loss_at, bounds=bounds, method="bounded").x))


def fit_isotonic(labels: np.ndarray, values: np.ndarray) -> dict[str, list[float]]:
    """The rising function with the least squared distance to the labels.

    Zadrozny and Elkan 2002, *Transforming classifier scores into accurate multiclass probability
    estimates*. The function stays half a row away from 0 and 1, because rows without a positive one
    among them do not make a positive one impossible.

    Args:
        labels: ``(rows,)`` in [0, 1], NaN where not labeled.
        values: ``(rows,)`` probabilities.

    Returns:
        The corners of the function, ``x`` (rising) and ``y``; the identity where no row is labeled.
    """
    from sklearn.isotonic import IsotonicRegression

    known = ~np.isnan(labels)
    if not known.any():
        return {"x": [0.0, 1.0], "y": [0.0, 1.0]}
    edge = 0.5 / known.sum()
    model = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip")
    model.fit(values[known], labels[known].astype(np.float64))
    return {"x": model.X_thresholds_.tolist(), "y": model.y_thresholds_.tolist()}


def fit_calibrator(task: Task, labels: np.ndarray, predictions: np.ndarray, method: str) -> Any:
    """Fit one calibration method to one column.

    Args:
        task: the task that the column belongs to.
        labels: ``(rows,)`` of the column, NaN where not labeled.
        predictions: ``(rows, n_outputs)`` of the column.
        method: one of ``task.calibration_methods``.

    Returns:
        What :func:`apply_calibrator` takes, in types that JSON can hold.
    """
    if method == "temperature":
        return fit_temperature(task, labels, predictions)
    return fit_isotonic(labels, predictions[:, 0])


def apply_calibrator(
    task: Task, predictions: np.ndarray, calibrator: Any, method: str
) -> np.ndarray:
    """Predictions of one column, ``(rows, n_outputs)``, calibrated.

    Args:
        task: the task that the column belongs to.
        predictions: ``(rows, n_outputs)`` of the column.
        calibrator: what :func:`fit_calibrator` returned.
        method: its method.
    """
    if method == "temperature":
        return apply_temperature(task, predictions, calibrator)
    return apply_isotonic(predictions[:, 0], calibrator)[:, None]


def fit_calibrators(
    tasks: TaskSet, labels: np.ndarray, oof: pd.DataFrame
) -> dict[str, dict[str, Any]]:
    """Label column to its calibrators by method, fitted on all rows.

    Columns of a task without calibration methods (a regression) are left out.

    Args:
        tasks: the tasks of the predictions.
        labels: ``Table.labels``, ``(rows, label columns)``.
        oof: out-of-fold predictions of the same rows.
    """
    return {
        column: {
            method: fit_calibrator(task, column_labels, predictions, method)
            for method in task.calibration_methods
        }
        for task, column, column_labels, predictions in _calibrated_columns(tasks, labels, oof)
    }


def evaluate_calibration(
    tasks: TaskSet, labels: np.ndarray, oof: pd.DataFrame, folds: np.ndarray
) -> dict[str, Any]:
    """What calibration brings: each row is calibrated by what was fitted on the other folds.

    Args:
        tasks: the tasks of the predictions.
        labels: ``Table.labels``, ``(rows, label columns)``.
        oof: out-of-fold predictions of the same rows.
        folds: the fold of each row, ``(rows,)``.

    Returns:
        Label column to ``task``, ``log_loss``, ``ece`` and ``curves``, each of the latter three a
        dictionary of ``raw`` and the methods. ``curves`` are mean predictions and mean labels, for
        classes mean confidence and accuracy. Regression columns are left out. With a single fold
        there is only ``raw``.
    """
    scores: dict[str, Any] = {}
    several_folds = len(np.unique(folds)) > 1
    for task, column, column_labels, predictions in _calibrated_columns(tasks, labels, oof):
        calibrated = {"raw": predictions}
        for method in task.calibration_methods if several_folds else ():
            calibrated[method] = apply_nested(
                column_labels,
                predictions,
                folds,
                fit=partial(fit_calibrator, task, method=method),
                apply=partial(apply_calibrator, task, method=method),
            )
        pairs = {m: task.calibration_pairs(column_labels, p) for m, p in calibrated.items()}
        scores[column] = {
            "task": task.name,
            "log_loss": {
                m: compute_log_loss(task, column_labels, p) for m, p in calibrated.items()
            },
            "ece": {m: expected_calibration_error(*pair) for m, pair in pairs.items()},
            "curves": {
                m: [values.tolist() for values in reliability_curve(*pair)[:2]]
                for m, pair in pairs.items()
            },
        }
    return scores


def compute_log_loss(task: Task, labels: np.ndarray, predictions: np.ndarray) -> float | None:
    """The log loss of one column; None without labels.

    Args:
        task: the task that the column belongs to.
        labels: ``(rows,)`` of the column, NaN where not labeled.
        predictions: ``(rows, n_outputs)`` of the column.
    """
    return task.metrics["log_loss"](labels, task.column_predictions(predictions, 0))


def _calibrated_columns(
    tasks: TaskSet, labels: np.ndarray, oof: pd.DataFrame
) -> Iterator[tuple[Task, str, np.ndarray, np.ndarray]]:
    """Task, target, its labels and its predictions ``(rows, n_outputs)``."""
    for task, columns in tasks.items():
        if task.calibration_methods:
            predictions = oof[task.prediction_columns].to_numpy()
            for position, target in enumerate(task.settings.targets):
                target_labels = task.column_labels(labels[:, columns], position)
                yield task, target, target_labels, predictions[:, task.output_slice(position)]
