"""The report's plots as SVG that follows the page's colours, each with a sentence that tells it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from cycler import cycler
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure  # without pyplot: a notebook keeps its own backend

from auxfold.tasks.metrics import average_precision, roc_auc

INK = "#010203"  # stands for the page's text colour, light or dark
COLOURS = ("#3b7dd8", "#e07b39", "#4a9d5b", "#b3579b", "#8a7a2e", "#5ba7b5", "#c0504d", "#7d6bb5")
STYLE = {
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=COLOURS),
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "auxfold",  # the same plot is the same file
    "svg.fonttype": "path",
}


@dataclass(frozen=True)
class Plot:
    """One figure of the report."""

    title: str
    svg: str
    alt: str


def plot_folds(record: dict[str, Any]) -> Plot:
    """The main metric of every fold beside their mean and the out-of-fold score."""
    metric = record["main"]
    values = [fold[metric] for fold in record["folds"]]
    with rc_context(STYLE):
        figure = Figure(figsize=(6, 2.8))
        axes = figure.subplots()
        axes.plot(range(len(values)), values, "o", color=COLOURS[0])
        axes.axhline(record["oof"][metric], color=COLOURS[1], linestyle="--", label="out of fold")
        axes.axhline(record["mean"][metric], color=COLOURS[0], linestyle=":", label="mean of folds")
        axes.set(xlabel="fold", ylabel=metric, xticks=range(len(values)))
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
        told = ", ".join(f"{value:.4f}" for value in values)
        return Plot("Scores per fold", _svg(figure), f"{metric} of each fold: {told}.")


def plot_learning(record: dict[str, Any], histories: list[list[dict[str, Any]]]) -> Plot:
    """The main metric on each fold's own rows, and the training loss of every task."""
    metric = record["main"]
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        for fold, history in enumerate(histories):
            epochs = [entry["epoch"] for entry in history]
            scores = [entry["metrics"][metric] for entry in history]
            left.plot(epochs, scores, marker="o", markersize=3, label=f"fold {fold}")
        for number, task in enumerate(histories[0][0]["train_loss"]):
            for fold, history in enumerate(histories):
                epochs = [entry["epoch"] for entry in history]
                losses = [entry["train_loss"][task] for entry in history]
                label = task if fold == 0 else None
                right.plot(epochs, losses, color=COLOURS[number % len(COLOURS)], label=label)
        left.set(xlabel="epoch", ylabel=f"{metric}, held-out rows")
        right.set(xlabel="epoch", ylabel="weighted training loss", ylim=(0, None))
        left.legend(loc="lower right", ncols=2)
        right.legend()
        last = ", ".join(f"{history[-1]['metrics'][metric]:.4f}" for history in histories)
        alt = f"{metric} of each fold over the epochs, at the end {last}; training loss per task."
        return Plot("Learning curves", _svg(figure), alt)


def plot_curves(
    column: str, labels: np.ndarray, scores: np.ndarray, folds: np.ndarray
) -> Plot | None:
    """ROC and precision-recall curves of one column, all rows and fold by fold."""
    positive, scores, folds = _known(labels, scores, folds)
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
        return Plot(f"ROC and precision-recall of {column}", _svg(figure), alt)


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


def plot_reliability(column: str, labels: np.ndarray, scores: np.ndarray) -> Plot:
    """Mean label against mean prediction, in ten equal ranges of predictions."""
    known = ~np.isnan(labels)
    labels, scores = labels[known], scores[known]
    ranges = np.minimum((scores * 10).astype(int), 9)
    bins = [np.flatnonzero(ranges == number) for number in np.unique(ranges)]
    told = np.array([scores[rows].mean() for rows in bins])
    found = np.array([labels[rows].mean() for rows in bins])
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        top = max(told.max(), found.max(), 1e-3) * 1.05
        left.plot([0, top], [0, top], color=INK, linewidth=0.6, linestyle=":")
        left.plot(told, found, marker="o", markersize=4, color=COLOURS[1])
        left.set(xlabel="mean prediction", ylabel="mean label")
        edges = np.linspace(0, 1, 41)
        sides = (("label < 0.5", labels < 0.5), ("label ≥ 0.5", labels >= 0.5))
        for colour, (name, side) in zip(COLOURS, sides, strict=False):
            right.hist(scores[side], bins=edges, alpha=0.6, label=name, color=colour, log=True)
        right.set(xlabel="prediction", ylabel="rows (logarithmic)")
        right.legend()
        gap = np.abs(told - found).max()
        alt = (
            f"Mean label against mean prediction of {column} in ten ranges of predictions, at most "
            f"{gap:.3f} apart; predictions of rows with labels below and above 0.5."
        )
        return Plot(f"Reliability and predictions of {column}", _svg(figure), alt)


def plot_labels(columns: list[str], labels: np.ndarray) -> Plot:
    """How labels are spread: the share of rows at or above 0.5, and of rows without a label."""
    known = ~np.isnan(labels)
    rates = [float((labels[known[:, i], i] >= 0.5).mean()) for i in range(len(columns))]
    missing = [float(1 - known[:, i].mean()) for i in range(len(columns))]
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 0.8 + 0.32 * len(columns)), layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(columns))[::-1]
        axes.barh(places + 0.2, rates, height=0.36, color=COLOURS[1], label="label ≥ 0.5")
        if any(missing):
            axes.barh(places - 0.2, missing, height=0.36, color=COLOURS[0], label="no label")
        axes.set(yticks=places, yticklabels=columns, xlabel="share of rows (of labelled rows)")
        axes.legend()
        told = ", ".join(f"{c} {r:.3f}" for c, r in zip(columns, rates, strict=True))
        return Plot("Labels", _svg(figure), f"Share of rows with a label of 0.5 or more: {told}.")


def plot_columns(record: dict[str, Any], columns: dict[str, str]) -> Plot | None:
    """A metric of every label column, out of fold and in each fold.

    Args:
        record: the cross-validated scores.
        columns: column name to the name of its metric in the record.
    """
    shown = {c: m for c, m in columns.items() if record["oof"].get(m) is not None}
    if len(shown) < 2:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 0.8 + 0.32 * len(shown)), layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(shown))[::-1]
        for place, metric in zip(places, shown.values(), strict=True):
            values = [fold[metric] for fold in record["folds"] if fold[metric] is not None]
            axes.plot(values, [place] * len(values), "o", color=COLOURS[0], alpha=0.6, markersize=4)
            axes.plot(record["oof"][metric], place, "D", color=COLOURS[1], markersize=6)
        for marker, name, colour in (("o", "folds", COLOURS[0]), ("D", "out of fold", COLOURS[1])):
            axes.plot([], [], marker, color=colour, label=name)
        axes.set(yticks=places, yticklabels=list(shown), xlabel="AUC")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
        axes.grid(axis="x", alpha=0.2)
        told = ", ".join(f"{c} {record['oof'][m]:.4f}" for c, m in shown.items())
        return Plot("Every label", _svg(figure), f"Out-of-fold AUC: {told}.")


def _known(
    labels: np.ndarray, scores: np.ndarray, folds: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    known = ~np.isnan(labels)
    return labels[known] >= 0.5, scores[known], folds[known]


def _svg(figure: Figure) -> str:
    figure.patch.set_alpha(0.0)
    for axes in figure.axes:
        axes.patch.set_alpha(0.0)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :].replace(INK, "currentColor")
