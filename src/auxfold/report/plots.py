"""The report's plots as SVG that follows the page's colours, each with a sentence that tells it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from cycler import cycler
from matplotlib import rc_context
from matplotlib.figure import Figure  # without pyplot: a notebook keeps its own backend

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
        return Plot("Scores per fold", svg_of(figure), f"{metric} of each fold: {told}.")


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
                colour = COLOURS[number % len(COLOURS)]
                right.plot(epochs, losses, color=colour, label=label, marker="o", markersize=3)
        left.set(xlabel="epoch", ylabel=f"{metric}, held-out rows")
        right.set(xlabel="epoch", ylabel="weighted training loss", ylim=(0, None))
        left.legend(loc="lower right", ncols=2)
        right.legend()
        last = ", ".join(f"{history[-1]['metrics'][metric]:.4f}" for history in histories)
        alt = f"{metric} of each fold over the epochs, at the end {last}; training loss per task."
        return Plot("Learning curves", svg_of(figure), alt)


def plot_balance(histories: list[list[dict[str, Any]]], main: str) -> Plot | None:
    """Every task's weight, and its gradient's cosine to the main task's: means over the folds.

    None where nothing of it was measured (one task alone, or older folds).
    """
    weights, cosines = (_over_folds(histories, what) for what in ("weight", "cosine"))
    if not weights:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        colours = {task: COLOURS[i % len(COLOURS)] for i, task in enumerate(weights)}
        for axes, curves in ((left, weights), (right, cosines)):
            for task, points in curves.items():
                axes.plot(*zip(*points, strict=True), color=colours[task], label=task, marker="o",
                          markersize=3)  # fmt: skip
            axes.set(xlabel="epoch")
            if curves:
                axes.legend()
        left.set(ylabel="weight", ylim=(0, None))
        right.set(ylabel=f"cosine to {main}, at the features", ylim=(-1, 1))
        right.axhline(0, color=INK, linewidth=0.8, alpha=0.4)
        told = ", ".join(f"{t} {points[-1][1]:.3f}" for t, points in weights.items())
        agreed = ", ".join(f"{t} {points[-1][1]:.2f}" for t, points in cosines.items())
        alt = f"Weight per task at the end: {told}; cosine to {main}: {agreed or 'not measured'}."
        return Plot("Task weights and gradients", svg_of(figure), alt)


def _over_folds(
    histories: list[list[dict[str, Any]]], what: str
) -> dict[str, list[tuple[float, float]]]:
    """Task to its points (epoch, mean over the folds that have it)."""
    made: dict[str, dict[float, list[float]]] = {}
    for entry in (entry for history in histories for entry in history):
        for task, value in entry.get("balance", {}).get(what, {}).items():
            made.setdefault(task, {}).setdefault(entry["epoch"], []).append(value)
    return {
        task: [(epoch, float(np.mean(values))) for epoch, values in sorted(points.items())]
        for task, points in made.items()
    }


def plot_ensemble(test: dict[str, Any]) -> Plot:
    """The ensemble of one fold, of two …, on test rows; what ``ensemble_against_folds`` gives."""
    scores = {int(n): [v for v in values if v is not None] for n, values in test["scores"].items()}
    scores = {n: values for n, values in scores.items() if values}
    with rc_context(STYLE):
        figure = Figure(figsize=(6, 3))
        axes = figure.subplots()
        for count, values in scores.items():
            axes.plot([count] * len(values), values, "o", color=COLOURS[0], alpha=0.5, markersize=4)
        means = [float(np.mean(values)) for values in scores.values()]
        axes.plot(list(scores), means, color=COLOURS[1], marker="D", label="mean")
        axes.set(xlabel="folds averaged", ylabel=test["metric"], xticks=list(scores))
        axes.legend(loc="lower right")
        told = ", ".join(f"{n}: {m:.4f}" for n, m in zip(scores, means, strict=True))
        alt = f"{test['metric']} on {test['rows']:,} test rows by number of folds averaged: {told}."
        return Plot("Ensemble against single folds", svg_of(figure), alt)


def plot_ablation(record: dict[str, Any]) -> Plot:
    """What leaving out each auxiliary target costs; the record of ``ablation.collect``."""
    told = {name.removeprefix("without_"): one for name, one in record["differences"].items()}
    told = {"all of them" if name == "none" else name: one for name, one in told.items()}
    xlabel = f"what it brings to {record['metric']} (above zero: it helps)"
    return _plot_differences(told, "What each auxiliary target brings", xlabel)


def plot_comparison(record: dict[str, Any]) -> list[Plot]:
    """Every variant against the baseline, a plot per metric of ``comparison.collect``'s record."""
    title = f"Variants against {record['baseline']}"
    return [
        _plot_differences(told["differences"], title, f"{metric}, difference (above zero: better)")
        for metric, told in record["metrics"].items()
    ]


def _plot_differences(told: dict[str, dict[str, float]], title: str, xlabel: str) -> Plot:
    """Mean paired differences with their intervals, one line each."""
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 1.0 + 0.36 * len(told)), layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(told))[::-1]
        means = np.array([one["mean"] for one in told.values()])
        ends = np.array([[one["low"], one["high"]] for one in told.values()])
        spans = np.abs(ends.T - means)
        axes.errorbar(means, places, xerr=spans, fmt="o", capsize=3, color=COLOURS[0])
        axes.axvline(0, color=INK, linewidth=0.6, linestyle=":")
        axes.set(yticks=places, yticklabels=list(told), xlabel=xlabel)
        axes.set_ylim(-0.6, len(told) - 0.4)
        lines = ", ".join(f"{n} {m:+.4f}" for n, m in zip(told, means, strict=True))
        alt = f"{xlabel}: mean paired difference with its 95 % interval: {lines}."
        return Plot(title, svg_of(figure), alt)


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
        return Plot("Labels", svg_of(figure), f"Share of rows with a label of 0.5 or more: {told}.")


def plot_columns(record: dict[str, Any], metric: str, columns: dict[str, str]) -> Plot | None:
    """A metric of every label column, out of fold and in each fold.

    Args:
        record: the cross-validated scores.
        metric: what the metric is called.
        columns: column name to the name of its metric in the record.
    """
    shown = {c: m for c, m in columns.items() if record["oof"].get(m) is not None}
    if len(shown) < 2:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 0.8 + 0.32 * len(shown)), layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(shown))[::-1]
        for place, name in zip(places, shown.values(), strict=True):
            values = [fold[name] for fold in record["folds"] if fold[name] is not None]
            axes.plot(values, [place] * len(values), "o", color=COLOURS[0], alpha=0.6, markersize=4)
            axes.plot(record["oof"][name], place, "D", color=COLOURS[1], markersize=6)
        for marker, name, colour in (("o", "folds", COLOURS[0]), ("D", "out of fold", COLOURS[1])):
            axes.plot([], [], marker, color=colour, label=name)
        axes.set(yticks=places, yticklabels=list(shown), xlabel=metric)
        axes.set_ylim(-0.6, len(shown) - 0.4)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
        axes.grid(axis="x", alpha=0.2)
        told = ", ".join(f"{c} {record['oof'][m]:.4f}" for c, m in shown.items())
        return Plot(f"Every label, {metric}", svg_of(figure), f"Out-of-fold {metric}: {told}.")


def svg_of(figure: Figure) -> str:
    """A figure without a ground of its own, in the page's text colour."""
    figure.patch.set_alpha(0.0)
    for axes in figure.axes:
        axes.patch.set_alpha(0.0)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :].replace(INK, "currentColor")
