"""Plots of the main target, by its kind: what a person looks at first."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from auxfold.report.plots import COLOURS, INK, STYLE, Plot, svg_of
from auxfold.tasks import Task
from auxfold.tasks.metrics import average_precision, confusion, pearson, roc_auc, spearman

RELIABILITY = (COLOURS[1], COLOURS[0], COLOURS[2])  # raw as ever


def plot_main(
    task: Task,
    labels: np.ndarray,
    predictions: np.ndarray,
    folds: np.ndarray,
    calibration: dict[str, Any],
) -> list[Plot]:
    """The plots of a task's kind, of its first column.

    Args:
        task: the main task.
        labels: ``(rows, columns)``, NaN where not labelled.
        predictions: ``(rows, n_outputs)``.
        folds: ``(rows,)``.
        calibration: what ``calibration_scores`` gave.
    """
    known = ~np.isnan(labels[:, 0])
    labels, predictions, folds = labels[known, 0], predictions[known], folds[known]
    column, kind = task.settings.columns[0], task.settings.kind
    if kind == "multiclass":
        matrix = plot_confusion(column, task.settings.class_names, labels, predictions)
        sure = predictions.max(axis=1)
        right = (predictions.argmax(axis=1) == labels) * 1.0
        return [matrix, plot_reliability(column, right, sure, calibration[column], CLASSES)]
    if kind == "regression":
        return [plot_fit(column, labels, predictions[:, 0])]
    scores = predictions[:, 0]
    curves = plot_curves(column, labels, scores, folds)
    return [p for p in (curves, plot_reliability(column, labels, scores, calibration[column])) if p]


def plot_curves(
    column: str, labels: np.ndarray, scores: np.ndarray, folds: np.ndarray
) -> Plot | None:
    """ROC and precision-recall curves of one column, all rows and fold by fold."""
    positive = labels >= 0.5
    if positive.all() or not positive.any():
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        for fold in np.unique(folds):
            own = folds == fold
            if 0 < positive[own].sum() < own.sum():
                _draw_curves(left, right, positive[own], scores[own], COLOURS[0], 0.7, 0.35)
        _draw_curves(left, right, positive, scores, COLOURS[1], 1.8, 1.0)
        area, precision = roc_auc(positive, scores), average_precision(positive, scores)
        rate = positive.mean()
        left.plot([0, 1], [0, 1], color=INK, linewidth=0.6, linestyle=":")
        right.axhline(rate, color=INK, linewidth=0.6, linestyle=":")
        left.set(xlabel="false positive rate", ylabel="true positive rate")
        right.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02))
        alt = (
            f"ROC curve of {column} with area {area:.4f}, and precision-recall curve with average "
            f"precision {precision:.4f} at a rate of {rate:.3f}; thin lines are single folds."
        )
        return Plot(f"ROC and precision-recall of {column}", svg_of(figure), alt)


def _draw_curves(
    left: Axes,
    right: Axes,
    positive: np.ndarray,
    scores: np.ndarray,
    colour: str,
    width: float,
    alpha: float,
) -> None:
    from sklearn.metrics import precision_recall_curve, roc_curve

    false, true, _ = roc_curve(positive, scores)
    precision, recall, _ = precision_recall_curve(positive, scores)
    left.plot(*_thin(false, true), color=colour, linewidth=width, alpha=alpha)
    right.plot(*_thin(recall, precision), color=colour, linewidth=width, alpha=alpha)


def _thin(x: np.ndarray, y: np.ndarray, most: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Few enough points for a page, evenly along the curve, the ends among them."""
    way = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    keep = np.unique(np.searchsorted(way, np.linspace(0, way[-1], most)).clip(0, len(x) - 1))
    keep = np.unique([0, *keep, len(x) - 1])
    return x[keep], y[keep]


LABELS = ("prediction", "label", ("label < 0.5", "label ≥ 0.5"))
CLASSES = ("confidence", "accuracy", ("wrong", "right"))


def plot_reliability(
    column: str,
    labels: np.ndarray,
    scores: np.ndarray,
    calibration: dict[str, Any],
    words: tuple[str, str, tuple[str, str]] = LABELS,
) -> Plot:
    """Mean label against mean prediction, in ten equal ranges of predictions.

    Args:
        column: what it is called.
        labels: ``(rows,)``.
        scores: ``(rows,)`` probabilities.
        calibration: the column's, from ``calibration_scores``: raw, and by the other folds'
            calibration.
        words: what scores, labels and their two sides are called.
    """
    curves = {name: np.array(points) for name, points in calibration["curves"].items()}
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        top = max(max(points.max() for points in curves.values()), 1e-3) * 1.05
        left.plot([0, top], [0, top], color=INK, linewidth=0.6, linestyle=":")
        for colour, (name, points) in zip(RELIABILITY, curves.items(), strict=False):
            left.plot(*points, marker="o", markersize=4, color=colour, label=name)
        left.set(xlabel=f"mean {words[0]}", ylabel=f"mean {words[1]}")
        left.legend()
        edges = np.linspace(0, 1, 41)
        sides = zip(words[2], (labels < 0.5, labels >= 0.5), strict=True)
        for colour, (name, side) in zip(COLOURS, sides, strict=False):
            right.hist(scores[side], bins=edges, alpha=0.6, label=name, color=colour, log=True)
        right.set(xlabel=words[0], ylabel="rows (logarithmic)")
        right.legend()
        errors = ", ".join(f"{name} {value:.4f}" for name, value in calibration["ece"].items())
        alt = (
            f"Mean {words[1]} against mean {words[0]} of {column} in ten ranges; they are apart by "
            f"{errors} in the mean (calibrated on the other folds); {words[0]} of rows with "
            f"{words[2][0]} and {words[2][1]}."
        )
        return Plot(f"Reliability and predictions of {column}", svg_of(figure), alt)


def plot_confusion(
    column: str, names: list[str], labels: np.ndarray, probabilities: np.ndarray
) -> Plot:
    """The likeliest class against the true one, as shares of the true class's rows."""
    counts = confusion(labels, probabilities)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 2.6 + 0.55 * len(names)
    with rc_context(STYLE):
        figure = Figure(figsize=(size + 1.5, size), layout="constrained")
        axes = figure.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        places = range(len(names))
        axes.set(xticks=places, yticks=places, yticklabels=names, xlabel="predicted", ylabel="true")
        axes.set_xticklabels(names, rotation=45, ha="right")
        for (row, place), count in np.ndenumerate(counts):
            if len(names) > 12:
                break  # too small to read
            dark = shares[row, place] > 0.5
            axes.text(place, row, f"{shares[row, place]:.0%}\n{count:,}", ha="center", va="center",
                      fontsize=8, color="white" if dark else "#222222")  # fmt: skip
        told = ", ".join(f"{n} {shares[i, i]:.2f}" for i, n in enumerate(names))
        alt = f"Confusion of {column}; share of each class's rows that is recognised: {told}."
        return Plot(f"Confusion of {column}", svg_of(figure), alt)


def plot_fit(column: str, labels: np.ndarray, predictions: np.ndarray) -> Plot:
    """Predictions against labels, and how far they are off, in the column's units."""
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 3.8), layout="constrained")
        left, right = figure.subplots(1, 2)
        ends = [min(labels.min(), predictions.min()), max(labels.max(), predictions.max())]
        left.hexbin(labels, predictions, gridsize=40, cmap="Blues", mincnt=1, bins="log")
        left.plot(ends, ends, color=INK, linewidth=0.6, linestyle=":")
        left.set(xlabel="label", ylabel="out-of-fold prediction")
        right.hist(predictions - labels, bins=50, color=COLOURS[0])
        right.axvline(0, color=INK, linewidth=0.6, linestyle=":")
        right.set(xlabel="prediction − label", ylabel="rows")
        values = (("Spearman", spearman), ("Pearson", pearson))
        told = ", ".join(
            f"{name} {value:.4f}"
            for name, metric in values
            if (value := metric(labels, predictions)) is not None
        )
        alt = f"Out-of-fold predictions of {column} against its labels ({told}), and their errors."
        return Plot(f"Predictions of {column}", svg_of(figure), alt)
