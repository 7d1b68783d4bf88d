"""ROC and precision-recall curves of binary labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from auxfold.report.plot import COLORS, HEIGHT, INK, WIDTH, Panel, Plot
from auxfold.tasks.metrics import average_precision, roc_auc

MAX_LABELS = len(COLORS)  # in one plot
# Of many labels, above the curves, which leave no corner free.
LEGEND: dict[str, Any] = {
    "loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 2, "title_fontsize": 8,
    "alignment": "left",
}  # fmt: skip


def plot_curves(
    column: str, labels: np.ndarray, scores: np.ndarray, folds: np.ndarray, task: str = ""
) -> Plot | None:
    """ROC and precision-recall curves of one column, of all rows and fold by fold.

    Args:
        column: its name.
        labels: ``(rows,)`` in [0, 1], NaN where not labeled.
        scores: ``(rows,)`` any monotone score.
        folds: ``(rows,)``.
        task: the name of its task.

    Returns:
        The plot; without panels where all scores are equal; None where all rows are positive, or
        all negative.
    """
    known = ~np.isnan(labels)
    positive, scores, folds = labels[known] >= 0.5, scores[known], folds[known]
    if not _has_both(positive):
        return None
    title = f"ROC and precision-recall of {column}"
    if np.ptp(scores) == 0:
        alt = f"All predictions of {column} are {scores[0]:.4g}, so there is no curve."
        return Plot(title, (), alt, task)
    of_folds = [(positive[folds == fold], scores[folds == fold]) for fold in np.unique(folds)]
    of_folds = [pair for pair in of_folds if _has_both(pair[0])]
    roc, area = _draw_roc(positive, scores, of_folds)
    precision_recall, mean_precision = _draw_precision_recall(positive, scores, of_folds)
    alt = (
        f"ROC curve of {column} with area {area:.4f}, and precision-recall curve with average "
        f"precision {mean_precision:.4f} at a rate of {positive.mean():.3f}; thin lines are single "
        f"folds."
    )
    return Plot(title, (roc, precision_recall), alt, task)


Pairs = list[tuple[np.ndarray, np.ndarray]]  # whether each row is positive, and its score


def _draw_roc(positive: np.ndarray, scores: np.ndarray, of_folds: Pairs) -> tuple[str, float]:
    """The panel with the ROC curves, and the area of all rows."""
    from sklearn.metrics import roc_curve

    area = _defined(roc_auc(positive * 1.0, scores))
    areas = [_defined(roc_auc(p * 1.0, s)) for p, s in of_folds]
    with Panel() as panel:
        _draw_fold_curves(panel.axes, [roc_curve(p, s)[:2] for p, s in of_folds], areas, "area")
        x, y, _ = roc_curve(positive, scores)
        label = f"out of fold, area {area:.4f}"
        panel.axes.plot(*thin_out(x, y), color=COLORS[1], linewidth=1.8, label=label)
        panel.axes.plot([0, 1], [0, 1], color=INK, linewidth=0.6, linestyle=":",
                        label="chance, area 0.5")  # fmt: skip
        panel.axes.set(xlabel="false positive rate", ylabel="true positive rate")
        panel.axes.legend(loc="lower right")
    return panel.svg, area


def _draw_precision_recall(
    positive: np.ndarray, scores: np.ndarray, of_folds: Pairs
) -> tuple[str, float]:
    """The panel with the precision-recall curves, and the average precision of all rows."""
    from sklearn.metrics import precision_recall_curve

    area = _defined(average_precision(positive * 1.0, scores))
    areas = [_defined(average_precision(p * 1.0, s)) for p, s in of_folds]
    with Panel() as panel:
        curves = [precision_recall_curve(p, s)[1::-1] for p, s in of_folds]
        _draw_fold_curves(panel.axes, curves, areas, "average precision")
        precision, recall, _ = precision_recall_curve(positive, scores)
        label = f"out of fold, average precision {area:.4f}"
        panel.axes.plot(*thin_out(recall, precision), color=COLORS[1], linewidth=1.8, label=label)
        rate = positive.mean()
        panel.axes.axhline(rate, color=INK, linewidth=0.6, linestyle=":",
                           label=f"chance, {rate:.3f} of the rows")  # fmt: skip
        panel.axes.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02))
        panel.axes.legend(loc="lower left", bbox_to_anchor=(0, 1))
    return panel.svg, area


def _draw_fold_curves(
    axes: Axes, curves: Sequence[Sequence[np.ndarray]], areas: list[float], name: str
) -> None:
    """Thin lines, one per fold, with one entry in the legend; none where there is one fold."""
    for number, (x, y) in enumerate(curves if len(curves) > 1 else []):
        span = f"{min(areas):.4f} to {max(areas):.4f}"
        label = f"single folds, {name} {span}" if number == 0 else None
        axes.plot(*thin_out(x, y), color=COLORS[0], linewidth=0.7, alpha=0.5, label=label)


def plot_label_curves(
    task: str, columns: list[str], labels: np.ndarray, scores: np.ndarray
) -> Plot | None:
    """ROC and precision-recall curves of the labels of one task: the eight with the least area.

    Args:
        task: its name.
        columns: its label columns.
        labels: ``(rows, len(columns))`` in [0, 1], NaN where not labeled.
        scores: ``(rows, len(columns))``.

    Returns:
        The plot; None where fewer than two labels have a curve.
    """
    areas = [roc_auc(*pair) for pair in zip(labels.T, scores.T, strict=True)]
    defined = [i for i, area in enumerate(areas) if area is not None and np.ptp(scores[:, i]) > 0]
    if len(defined) < 2:
        return None
    shown = sorted(defined, key=lambda i: _defined(areas[i]))[:MAX_LABELS]
    with Panel(WIDTH, HEIGHT + 0.6) as roc, Panel(WIDTH, HEIGHT + 0.6) as precision_recall:
        for color, i in zip(COLORS, shown, strict=False):
            _draw_label_curves(
                (roc, precision_recall), columns[i], labels[:, i], scores[:, i], color
            )
        roc.axes.set(xlabel="false positive rate", ylabel="true positive rate")
        roc.axes.legend(title="area", **LEGEND)
        precision_recall.axes.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02))
        precision_recall.axes.legend(title="average precision", **LEGEND)
    title = f"ROC and precision-recall of the labels of {task}"
    if len(shown) < len(columns):
        title += f": the {len(shown)} with the smallest area"
    values = ", ".join(f"{columns[i]} {areas[i]:.4f}" for i in shown)
    return Plot(
        title, (roc.svg, precision_recall.svg), f"Area under the ROC curve: {values}.", task
    )


def _draw_label_curves(
    panels: tuple[Panel, Panel], column: str, labels: np.ndarray, scores: np.ndarray, color: str
) -> None:
    from sklearn.metrics import precision_recall_curve, roc_curve

    known = ~np.isnan(labels)
    positive, scores = labels[known] >= 0.5, scores[known]
    false, true, _ = roc_curve(positive, scores)
    precision, recall, _ = precision_recall_curve(positive, scores)
    roc, precision_recall = panels
    area, mean_precision = (
        roc_auc(positive * 1.0, scores),
        average_precision(positive * 1.0, scores),
    )
    # The number is first: matplotlib leaves a label out whose first character is an underscore.
    roc.axes.plot(*thin_out(false, true), color=color, linewidth=1.2, label=f"{area:.4f} {column}")
    precision_recall.axes.plot(*thin_out(recall, precision), color=color, linewidth=1.2,
                               label=f"{mean_precision:.4f} {column}")  # fmt: skip


def thin_out(x: np.ndarray, y: np.ndarray, max_points: int = 250) -> tuple[np.ndarray, np.ndarray]:
    """At most so many points, evenly along the curve and with both ends, to keep the page small."""
    distance = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    targets = np.linspace(0, distance[-1], max_points)
    indices = np.searchsorted(distance, targets).clip(0, len(x) - 1)
    indices = np.unique([0, *indices, len(x) - 1])
    return x[indices], y[indices]


def _has_both(positive: np.ndarray) -> bool:
    return bool(positive.any() and not positive.all())


def _defined(value: float | None) -> float:
    assert value is not None  # there are rows of both classes
    return value
