"""The plots of a run: scores by fold, training, task weights, fold ensemble, labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from auxfold.report.plot import COLORS, INK, STYLE, Plot, to_svg


def plot_folds(record: dict[str, Any]) -> Plot:
    """The main metric of every fold, with the mean of the folds and the out-of-fold score."""
    metric = record["main"]
    values = [fold[metric] for fold in record["folds"]]
    with rc_context(STYLE):
        figure = Figure(figsize=(6, 2.8))
        axes = figure.subplots()
        axes.plot(range(len(values)), values, "o", color=COLORS[0])
        axes.axhline(record["oof"][metric], color=COLORS[1], linestyle="--", label="out of fold")
        axes.axhline(record["mean"][metric], color=COLORS[0], linestyle=":", label="mean of folds")
        axes.set(xlabel="fold", ylabel=metric, xticks=range(len(values)))
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
        scores = ", ".join(f"{value:.4f}" for value in values)
        return Plot("Scores per fold", to_svg(figure), f"{metric} of each fold: {scores}.")


def plot_learning_curves(record: dict[str, Any], histories: list[list[dict[str, Any]]]) -> Plot:
    """The main metric on the held-out rows of each fold, and the training loss of every task.

    Args:
        record: the cross-validated scores.
        histories: the evaluations of each fold, from its ``history.jsonl``.
    """
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
                color = COLORS[number % len(COLORS)]
                right.plot(epochs, losses, color=color, label=label, marker="o", markersize=3)
        left.set(xlabel="epoch", ylabel=f"{metric}, held-out rows")
        right.set(xlabel="epoch", ylabel="weighted training loss", ylim=(0, None))
        left.legend(loc="lower right", ncols=2)
        right.legend()
        last = ", ".join(f"{history[-1]['metrics'][metric]:.4f}" for history in histories)
        alt = f"{metric} of each fold over the epochs, at the end {last}; training loss per task."
        return Plot("Learning curves", to_svg(figure), alt)


def plot_task_weights(histories: list[list[dict[str, Any]]], main: str) -> Plot | None:
    """The weight of every task, and the cosine of its gradient to the main task's: fold means.

    Args:
        histories: the evaluations of each fold, from its ``history.jsonl``.
        main: the name of the main task.

    Returns:
        The plot; None where nothing was measured, since there is only one task.
    """
    weights, cosines = (_mean_over_folds(histories, name) for name in ("weight", "cosine"))
    if not weights:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        colors = {task: COLORS[i % len(COLORS)] for i, task in enumerate(weights)}
        for axes, curves in ((left, weights), (right, cosines)):
            for task, points in curves.items():
                axes.plot(*zip(*points, strict=True), color=colors[task], label=task, marker="o",
                          markersize=3)  # fmt: skip
            axes.set(xlabel="epoch")
            if curves:
                axes.legend()
        left.set(ylabel="weight", ylim=(0, None))
        right.set(ylabel=f"cosine to {main}, at the features", ylim=(-1, 1))
        right.axhline(0, color=INK, linewidth=0.8, alpha=0.4)
        last_weights = ", ".join(f"{t} {points[-1][1]:.3f}" for t, points in weights.items())
        last_cosines = ", ".join(f"{t} {points[-1][1]:.2f}" for t, points in cosines.items())
        alt = (
            f"Weight per task at the end: {last_weights}; cosine to {main}: "
            f"{last_cosines or 'not measured'}."
        )
        return Plot("Task weights and gradients", to_svg(figure), alt)


def _mean_over_folds(
    histories: list[list[dict[str, Any]]], name: str
) -> dict[str, list[tuple[float, float]]]:
    """Task to its points: epoch, and the mean over the folds that have a value there."""
    values: dict[str, dict[float, list[float]]] = {}
    for entry in (entry for history in histories for entry in history):
        for task, value in entry.get("task_weighting", {}).get(name, {}).items():
            values.setdefault(task, {}).setdefault(entry["epoch"], []).append(value)
    return {
        task: [(epoch, float(np.mean(of_epoch))) for epoch, of_epoch in sorted(by_epoch.items())]
        for task, by_epoch in values.items()
    }


def plot_fold_ensemble(test: dict[str, Any]) -> Plot:
    """The scores of one fold, of two averaged folds, …, on test rows.

    Args:
        test: from ``score_fold_ensembles``.
    """
    scores = {int(n): [v for v in values if v is not None] for n, values in test["scores"].items()}
    scores = {n: values for n, values in scores.items() if values}
    with rc_context(STYLE):
        figure = Figure(figsize=(6, 3))
        axes = figure.subplots()
        for count, values in scores.items():
            axes.plot([count] * len(values), values, "o", color=COLORS[0], alpha=0.5, markersize=4)
        means = [float(np.mean(values)) for values in scores.values()]
        axes.plot(list(scores), means, color=COLORS[1], marker="D", label="mean")
        axes.set(xlabel="folds averaged", ylabel=test["metric"], xticks=list(scores))
        axes.legend(loc="lower right")
        points = ", ".join(f"{n}: {m:.4f}" for n, m in zip(scores, means, strict=True))
        alt = (
            f"{test['metric']} on {test['rows']:,} test rows by number of folds averaged: {points}."
        )
        return Plot("Ensemble against single folds", to_svg(figure), alt)


def plot_label_rates(columns: list[str], labels: np.ndarray) -> Plot:
    """The share of rows at or above 0.5 by label, and of rows without the label.

    Args:
        columns: names of binary label columns.
        labels: ``(rows, len(columns))``, NaN where not labeled.
    """
    is_labeled = ~np.isnan(labels)
    rates = [float((labels[is_labeled[:, i], i] >= 0.5).mean()) for i in range(len(columns))]
    missing = [float(1 - is_labeled[:, i].mean()) for i in range(len(columns))]
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 0.8 + 0.32 * len(columns)), layout="constrained")
        axes = figure.subplots()
        heights = np.arange(len(columns))[::-1]
        axes.barh(heights + 0.2, rates, height=0.36, color=COLORS[1], label="label ≥ 0.5")
        if any(missing):
            axes.barh(heights - 0.2, missing, height=0.36, color=COLORS[0], label="no label")
        axes.set(yticks=heights, yticklabels=columns, xlabel="share of rows (of labeled rows)")
        axes.legend()
        shares = ", ".join(f"{c} {r:.3f}" for c, r in zip(columns, rates, strict=True))
        alt = f"Share of rows with a label of 0.5 or more: {shares}."
        return Plot("Labels", to_svg(figure), alt)


def plot_label_scores(record: dict[str, Any], metric: str, columns: dict[str, str]) -> Plot | None:
    """One metric of every label column, out of fold and in each fold.

    Args:
        record: the cross-validated scores.
        metric: the name of the metric, for the axis.
        columns: column name to the name of its metric in the record.

    Returns:
        The plot; None where fewer than two columns have a score.
    """
    scores = {c: m for c, m in columns.items() if record["oof"].get(m) is not None}
    if len(scores) < 2:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 0.8 + 0.32 * len(scores)), layout="constrained")
        axes = figure.subplots()
        heights = np.arange(len(scores))[::-1]
        for height, name in zip(heights, scores.values(), strict=True):
            values = [fold[name] for fold in record["folds"] if fold[name] is not None]
            axes.plot(values, [height] * len(values), "o", color=COLORS[0], alpha=0.6, markersize=4)
            axes.plot(record["oof"][name], height, "D", color=COLORS[1], markersize=6)
        for marker, label, color in (("o", "folds", COLORS[0]), ("D", "out of fold", COLORS[1])):
            axes.plot([], [], marker, color=color, label=label)
        axes.set(yticks=heights, yticklabels=list(scores), xlabel=metric)
        axes.set_ylim(-0.6, len(scores) - 0.4)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
        axes.grid(axis="x", alpha=0.2)
        values_by_column = ", ".join(f"{c} {record['oof'][m]:.4f}" for c, m in scores.items())
        alt = f"Out-of-fold {metric}: {values_by_column}."
        return Plot(f"Every label, {metric}", to_svg(figure), alt)
