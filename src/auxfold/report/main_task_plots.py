"""The plots of the main task's first column, by kind of task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from auxfold.report.curve_plots import plot_curves
from auxfold.report.plot import COLORS, INK, Panel, Plot
from auxfold.report.reliability_plot import CLASS_WORDS, plot_reliability
from auxfold.tasks import Task
from auxfold.tasks.metrics import pearson, spearman


def plot_main_task(
    task: Task,
    labels: np.ndarray,
    predictions: np.ndarray,
    folds: np.ndarray,
    calibration: dict[str, Any],
) -> list[Plot]:
    """The plots of a task's kind, for its first column.

    Args:
        task: the main task.
        labels: ``(rows, columns)``, NaN where not labeled.
        predictions: ``(rows, n_outputs)``.
        folds: ``(rows,)``.
        calibration: from ``evaluate_calibration``.
    """
    is_labeled = ~np.isnan(labels[:, 0])
    plot = _PLOTS[task.kind]
    return plot(task, labels[is_labeled], predictions[is_labeled], folds[is_labeled], calibration)


def _plot_binary(
    task: Task,
    labels: np.ndarray,
    predictions: np.ndarray,
    folds: np.ndarray,
    calibration: dict[str, Any],
) -> list[Plot]:
    column, truth, scores = task.settings.label_columns[0], labels[:, 0], predictions[:, 0]
    curves = plot_curves(column, truth, scores, folds, task.name)
    reliability = plot_reliability(column, truth, scores, calibration[column], task.name)
    return [reliability] if curves is None else [curves, reliability]


def _plot_multiclass(
    task: Task,
    labels: np.ndarray,
    predictions: np.ndarray,
    folds: np.ndarray,
    calibration: dict[str, Any],
) -> list[Plot]:
    column = task.settings.targets[0]
    is_right, confidence = task.calibration_pairs(task.column_labels(labels, 0), predictions)
    return [
        plot_reliability(column, is_right, confidence, calibration[column], task.name, CLASS_WORDS)
    ]


def _plot_regression(
    task: Task,
    labels: np.ndarray,
    predictions: np.ndarray,
    folds: np.ndarray,
    calibration: dict[str, Any],
) -> list[Plot]:
    column = task.settings.label_columns[0]
    return [plot_predictions(column, labels[:, 0], predictions[:, 0], task.name)]


_PLOTS: dict[str, Callable[..., list[Plot]]] = {
    "binary": _plot_binary,
    "tags": _plot_binary,
    "multiclass": _plot_multiclass,
    "ordinal": _plot_multiclass,
    "regression": _plot_regression,
}


def plot_predictions(
    column: str, labels: np.ndarray, predictions: np.ndarray, task: str = ""
) -> Plot:
    """Predictions against labels, both ``(rows,)`` in the column's units, and their errors.

    Returns:
        The plot; without panels where all predictions are equal.
    """
    title = f"Predictions of {column}"
    if np.ptp(predictions) == 0:
        alt = f"All predictions of {column} are {predictions[0]:.4g}: the model learned nothing."
        return Plot(title, (), alt, task)
    with Panel() as scatter:
        ends = [labels.min(), labels.max()]
        scatter.axes.hexbin(labels, predictions, gridsize=40, cmap="Blues", mincnt=1, bins="log")
        scatter.axes.plot(ends, ends, color=INK, linewidth=0.6, linestyle=":", label="equal")
        scatter.axes.set(xlabel="label", ylabel="out-of-fold prediction")
        scatter.axes.legend(loc="lower left", bbox_to_anchor=(0, 1))
    with Panel() as histogram:
        histogram.axes.hist(predictions - labels, bins=50, color=COLORS[0])
        histogram.axes.axvline(0, color=INK, linewidth=0.6, linestyle=":")
        histogram.axes.set(xlabel="prediction − label", ylabel="rows")
    metrics = (("Spearman", spearman), ("Pearson", pearson))
    scores = ", ".join(
        f"{name} {value:.4f}"
        for name, metric in metrics
        if (value := metric(labels, predictions)) is not None
    )
    alt = f"Out-of-fold predictions of {column} against its labels ({scores}), and their errors."
    return Plot(title, (scatter.svg, histogram.svg), alt, task)
