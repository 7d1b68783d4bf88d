"""How well predicted probabilities agree with labels, and how they are distributed."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.ticker import LogFormatter

from auxfold.report.plot import COLORS, INK, Panel, Plot

# Uncalibrated predictions have the color of out-of-fold scores in all plots.
RELIABILITY_COLORS = (COLORS[1], COLORS[0], COLORS[2])
# The names of scores, of labels and of the two sides of a label.
LABEL_WORDS = ("prediction", "label", ("label < 0.5", "label ≥ 0.5"))
CLASS_WORDS = ("confidence", "accuracy", ("wrong", "right"))
Words = tuple[str, str, tuple[str, str]]


def plot_reliability(
    column: str,
    labels: np.ndarray,
    scores: np.ndarray,
    calibration: dict[str, Any],
    task: str = "",
    words: Words = LABEL_WORDS,
) -> Plot:
    """Mean label against mean prediction, in ten equal ranges of predictions.

    Args:
        column: the name of the label column.
        labels: ``(rows,)``.
        scores: ``(rows,)`` probabilities.
        calibration: that of the column, from ``evaluate_calibration``: of raw predictions, and of
            those that were calibrated on the other folds.
        task: the name of its task.
        words: the names of scores, of labels and of the two sides of a label.

    Returns:
        The plot; without a panel for curves of a single point, and for equal predictions.
    """
    panels = []
    curves = {name: np.array(points) for name, points in calibration["curves"].items()}
    if any(points.shape[1] > 1 for points in curves.values()):
        panels.append(_draw_curves(curves, words))
    if np.ptp(scores) > 0:
        panels.append(_draw_histogram(labels, scores, words))
    errors = ", ".join(f"{name} {value:.4f}" for name, value in calibration["ece"].items())
    note = " (calibrated on the other folds)" if len(curves) > 1 else ""
    alt = (
        f"Mean {words[1]} against mean {words[0]} of {column} in ten ranges; on average they "
        f"differ by {errors}{note}"
    )
    alt += f"; {words[0]} of rows with {words[2][0]} and {words[2][1]}." if panels else "."
    title = f"Reliability and predictions of {column}"
    return Plot(title, tuple(panels), alt, task)


def _draw_curves(curves: dict[str, np.ndarray], words: Words) -> str:
    with Panel() as panel:
        axes = panel.axes
        top = max(max(points.max() for points in curves.values()), 1e-3) * 1.05
        axes.plot([0, top], [0, top], color=INK, linewidth=0.6, linestyle=":", label="ideal")
        for color, (name, points) in zip(RELIABILITY_COLORS, curves.items(), strict=False):
            axes.plot(*points, marker="o", markersize=4, color=color, label=name)
        axes.set(xlabel=f"mean {words[0]}", ylabel=f"mean {words[1]}")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4)
    return panel.svg


def _draw_histogram(labels: np.ndarray, scores: np.ndarray, words: Words) -> str:
    edges = np.linspace(0, 1, 41).tolist()
    sides = zip(words[2], (labels < 0.5, labels >= 0.5), strict=True)
    with Panel() as panel:
        axes = panel.axes
        for color, (name, side) in zip(COLORS, sides, strict=False):
            axes.hist(scores[side], bins=edges, alpha=0.6, label=name, color=color, log=True)
        # The formatters of a logarithmic axis write formulas, which plots do not read.
        axes.yaxis.set_major_formatter(LogFormatter())
        axes.yaxis.set_minor_formatter(LogFormatter())
        axes.set(xlabel=words[0], ylabel="rows (logarithmic)")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return panel.svg
