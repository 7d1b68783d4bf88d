"""The plots of the main task's first column, by kind of task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from auxfold.report.plot import COLORS, INK, STYLE, Plot, to_svg
from auxfold.tasks import Task
from auxfold.tasks.metrics import average_precision, confusion, pearson, roc_auc, spearman
from auxfold.tasks.multiclass import MulticlassTask

# Uncalibrated predictions have the color of out-of-fold scores in all plots.
RELIABILITY_COLORS = (COLORS[1], COLORS[0], COLORS[2])


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
    first_column = labels[is_labeled, 0]
    return plot(task, first_column, predictions[is_labeled], folds[is_labeled], calibration)


def _plot_binary(
    task: Task,
    labels: np.ndarray,
    predictions: np.ndarray,
    folds: np.ndarray,
    calibration: dict[str, Any],
) -> list[Plot]:
    column, scores = task.settings.label_columns[0], predictions[:, 0]
    curves = plot_curves(column, labels, scores, folds)
    reliability = plot_reliability(column, labels, scores, calibration[column])
    return [reliability] if curves is None else [curves, reliability]


def _plot_multiclass(
    task: MulticlassTask,
    labels: np.ndarray,
    predictions: np.ndarray,
    folds: np.ndarray,
    calibration: dict[str, Any],
) -> list[Plot]:
    column = task.settings.label_columns[0]
    confidence = predictions.max(axis=1)
    is_correct = (predictions.argmax(axis=1) == labels) * 1.0
    return [
        plot_confusion(column, task.class_names, labels, predictions),
        plot_reliability(column, is_correct, confidence, calibration[column], CLASS_WORDS),
    ]


def _plot_regression(
    task: Task,
    labels: np.ndarray,
    predictions: np.ndarray,
    folds: np.ndarray,
    calibration: dict[str, Any],
) -> list[Plot]:
    return [plot_predictions(task.settings.label_columns[0], labels, predictions[:, 0])]


_PLOTS: dict[str, Callable[..., list[Plot]]] = {
    "binary": _plot_binary,
    "multiclass": _plot_multiclass,
    "regression": _plot_regression,
}


def plot_curves(
    column: str, labels: np.ndarray, scores: np.ndarray, folds: np.ndarray
) -> Plot | None:
    """ROC and precision-recall curves of one column, of all rows and fold by fold.

    Args:
        column: its name.
        labels: ``(rows,)`` in [0, 1].
        scores: ``(rows,)`` any monotone score.
        folds: ``(rows,)``.

    Returns:
        The plot; None where all rows are positive, or all negative.
    """
    positive = labels >= 0.5
    if positive.all() or not positive.any():
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        for fold in np.unique(folds):
            mask = folds == fold
            if 0 < positive[mask].sum() < mask.sum():
                _draw_curves(left, right, positive[mask], scores[mask], COLORS[0], 0.7, 0.35)
        _draw_curves(left, right, positive, scores, COLORS[1], 1.8, 1.0)
        area, mean_precision = roc_auc(positive, scores), average_precision(positive, scores)
        rate = positive.mean()
        left.plot([0, 1], [0, 1], color=INK, linewidth=0.6, linestyle=":")
        right.axhline(rate, color=INK, linewidth=0.6, linestyle=":")
        left.set(xlabel="false positive rate", ylabel="true positive rate")
        right.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02))
        alt = (
            f"ROC curve of {column} with area {area:.4f}, and precision-recall curve with average "
            f"precision {mean_precision:.4f} at a rate of {rate:.3f}; thin lines are single folds."
        )
        return Plot(f"ROC and precision-recall of {column}", to_svg(figure), alt)


def _draw_curves(
    left: Axes,
    right: Axes,
    positive: np.ndarray,
    scores: np.ndarray,
    color: str,
    width: float,
    alpha: float,
) -> None:
    from sklearn.metrics import precision_recall_curve, roc_curve

    false, true, _ = roc_curve(positive, scores)
    precision, recall, _ = precision_recall_curve(positive, scores)
    left.plot(*_thin_out(false, true), color=color, linewidth=width, alpha=alpha)
    right.plot(*_thin_out(recall, precision), color=color, linewidth=width, alpha=alpha)


def _thin_out(x: np.ndarray, y: np.ndarray, max_points: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """At most so many points, evenly along the curve and with both ends, to keep the page small."""
    distance = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    targets = np.linspace(0, distance[-1], max_points)
    indices = np.searchsorted(distance, targets).clip(0, len(x) - 1)
    indices = np.unique([0, *indices, len(x) - 1])
    return x[indices], y[indices]


# The names of scores, of labels and of the two sides of a label.
LABEL_WORDS = ("prediction", "label", ("label < 0.5", "label ≥ 0.5"))
CLASS_WORDS = ("confidence", "accuracy", ("wrong", "right"))


def plot_reliability(
    column: str,
    labels: np.ndarray,
    scores: np.ndarray,
    calibration: dict[str, Any],
    words: tuple[str, str, tuple[str, str]] = LABEL_WORDS,
) -> Plot:
    """Mean label against mean prediction, in ten equal ranges of predictions.

    Args:
        column: the name of the label column.
        labels: ``(rows,)``.
        scores: ``(rows,)`` probabilities.
        calibration: that of the column, from ``evaluate_calibration``: of raw predictions, and of
            those that were calibrated on the other folds.
        words: the names of scores, of labels and of the two sides of a label.
    """
    curves = {name: np.array(points) for name, points in calibration["curves"].items()}
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        top = max(max(points.max() for points in curves.values()), 1e-3) * 1.05
        left.plot([0, top], [0, top], color=INK, linewidth=0.6, linestyle=":")
        for color, (name, points) in zip(RELIABILITY_COLORS, curves.items(), strict=False):
            left.plot(*points, marker="o", markersize=4, color=color, label=name)
        left.set(xlabel=f"mean {words[0]}", ylabel=f"mean {words[1]}")
        left.legend()
        edges = np.linspace(0, 1, 41)
        sides = zip(words[2], (labels < 0.5, labels >= 0.5), strict=True)
        for color, (name, side) in zip(COLORS, sides, strict=False):
            right.hist(scores[side], bins=edges, alpha=0.6, label=name, color=color, log=True)
        right.set(xlabel=words[0], ylabel="rows (logarithmic)")
        right.legend()
        errors = ", ".join(f"{name} {value:.4f}" for name, value in calibration["ece"].items())
        alt = (
            f"Mean {words[1]} against mean {words[0]} of {column} in ten ranges; on average they "
            f"differ by {errors} (calibrated on the other folds); {words[0]} of rows with "
            f"{words[2][0]} and {words[2][1]}."
        )
        return Plot(f"Reliability and predictions of {column}", to_svg(figure), alt)


def plot_confusion(
    column: str, names: list[str], labels: np.ndarray, probabilities: np.ndarray
) -> Plot:
    """The most likely class against the true one, as shares of the true class's rows.

    Args:
        column: the name of the label column.
        names: the names of the classes.
        labels: ``(rows,)`` class numbers.
        probabilities: ``(rows, classes)``.
    """
    counts = confusion(labels, probabilities)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 2.6 + 0.55 * len(names)
    with rc_context(STYLE):
        figure = Figure(figsize=(size + 1.5, size), layout="constrained")
        axes = figure.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        ticks = range(len(names))
        axes.set(xticks=ticks, yticks=ticks, yticklabels=names, xlabel="predicted", ylabel="true")
        axes.set_xticklabels(names, rotation=45, ha="right")
        for (true, predicted), count in np.ndenumerate(counts):
            if len(names) > 12:
                break  # too small to read
            share = shares[true, predicted]
            color = "white" if share > 0.5 else "#222222"
            axes.text(predicted, true, f"{share:.0%}\n{count:,}", ha="center", va="center",
                      fontsize=8, color=color)  # fmt: skip
        recalls = ", ".join(f"{n} {shares[i, i]:.2f}" for i, n in enumerate(names))
        alt = f"Confusion of {column}; share of each class's rows that is recognized: {recalls}."
        return Plot(f"Confusion of {column}", to_svg(figure), alt)


def plot_predictions(column: str, labels: np.ndarray, predictions: np.ndarray) -> Plot:
    """Predictions against labels, both ``(rows,)`` in the column's units, and their errors."""
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 3.8), layout="constrained")
        left, right = figure.subplots(1, 2)
        ends = [min(labels.min(), predictions.min()), max(labels.max(), predictions.max())]
        left.hexbin(labels, predictions, gridsize=40, cmap="Blues", mincnt=1, bins="log")
        left.plot(ends, ends, color=INK, linewidth=0.6, linestyle=":")
        left.set(xlabel="label", ylabel="out-of-fold prediction")
        right.hist(predictions - labels, bins=50, color=COLORS[0])
        right.axvline(0, color=INK, linewidth=0.6, linestyle=":")
        right.set(xlabel="prediction − label", ylabel="rows")
        metrics = (("Spearman", spearman), ("Pearson", pearson))
        scores = ", ".join(
            f"{name} {value:.4f}"
            for name, metric in metrics
            if (value := metric(labels, predictions)) is not None
        )
        alt = (
            f"Out-of-fold predictions of {column} against its labels ({scores}), and their errors."
        )
        return Plot(f"Predictions of {column}", to_svg(figure), alt)
