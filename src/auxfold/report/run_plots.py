"""The plots of a run: scores by fold, training, task weights, fold ensemble, labels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from auxfold.report.plot import COLORS, INK, WIDTH, Panel, Plot

History = list[dict[str, Any]]  # the evaluations of one fold, from its ``history.jsonl``
Points = list[tuple[float, float]]  # epoch and value


def plot_folds(record: dict[str, Any]) -> Plot | None:
    """The main metric of every fold, with the mean of the folds and the out-of-fold score.

    Returns:
        The plot; None where fewer than two folds have a score, or all have the same.
    """
    metric = record["main"]
    values = {
        fold: value
        for fold, metrics in enumerate(record["folds"])
        if (value := metrics[metric]) is not None
    }
    if not _varies(values.values()):
        return None
    lines = (
        (record["oof"][metric], COLORS[1], "--", "out of fold"),
        (record["mean"][metric], COLORS[0], ":", "mean of folds"),
    )
    with Panel() as panel:
        axes = panel.axes
        axes.plot(list(values), list(values.values()), "o", color=COLORS[0])
        for value, color, style, label in lines:
            if value is not None:
                axes.axhline(value, color=color, linestyle=style, label=f"{label} {value:.4f}")
        axes.set(xlabel="fold", ylabel=metric, xticks=range(len(record["folds"])))
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    scores = ", ".join(f"{value:.4f}" for value in values.values())
    alt = f"{metric} of each fold: {scores}."
    return Plot("Scores per fold", (panel.svg,), alt, _task_of(metric))


def plot_learning_curves(record: dict[str, Any], histories: list[History]) -> Plot:
    """The main metric on the held-out rows of each fold, and the training loss of every task.

    Args:
        record: the cross-validated scores.
        histories: the evaluations of each fold.

    Returns:
        The plot; without panels where every fold has a single evaluation.
    """
    metric, title = record["main"], "Learning curves"
    scores = {f"fold {k}": _scores(metric, history) for k, history in enumerate(histories)}
    losses = _training_losses(histories)
    last = ", ".join(f"{points[-1][1]:.4f}" for points in scores.values() if points)
    if max(len(points) for points in [*scores.values(), *losses]) < 2:
        alt = (
            "Every fold was evaluated once, so there is no curve; "
            "train.evaluations_per_epoch = 4 gives four points per epoch."
        )
        return Plot(title, (), alt)
    panels = []
    if _any_varies(scores.values()):
        with Panel() as panel:
            for name, points in scores.items():
                panel.axes.plot(*_xy(points), marker="o", markersize=3, label=name)
            panel.axes.set(xlabel="epoch", ylabel=f"{metric}, held-out rows")
            panel.axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4)
        panels.append(panel.svg)
    if _any_varies(losses):
        with Panel() as panel:
            _draw_losses(panel, histories, losses)
        panels.append(panel.svg)
    alt = f"{metric} of each fold over the epochs, at the end {last}; training loss per task."
    return Plot(title, tuple(panels), alt)


def _draw_losses(panel: Panel, histories: list[History], losses: list[Points]) -> None:
    names = list(histories[0][0]["train_loss"])
    for number, points in enumerate(losses):  # fold by fold, all tasks of each
        task = number % len(names)
        label = names[task] if number < len(names) else None
        color = COLORS[task % len(COLORS)]
        panel.axes.plot(*_xy(points), color=color, label=label, marker="o", markersize=3)
    panel.axes.set(xlabel="epoch", ylabel="weighted training loss", ylim=(0, None))
    panel.axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)


def _scores(metric: str, history: History) -> Points:
    """The evaluations of one fold that have the metric."""
    values = [(entry["epoch"], (entry.get("metrics") or {}).get(metric)) for entry in history]
    return [(epoch, value) for epoch, value in values if value is not None]


def _training_losses(histories: list[History]) -> list[Points]:
    """The curves of every fold and task, fold by fold."""
    return [
        [(entry["epoch"], entry["train_loss"][task]) for entry in history]
        for history in histories
        for task in histories[0][0]["train_loss"]
    ]


def plot_task_weights(histories: list[History], main: str) -> Plot | None:
    """The weight of every task, and the cosine of its gradient to the main task's: fold means.

    Args:
        histories: the evaluations of each fold.
        main: the name of the main task.

    Returns:
        The plot; without panels where nothing changes over the epochs; None where nothing was
        measured, since there is only one task.
    """
    weights, cosines = (_mean_over_folds(histories, name) for name in ("weight", "cosine"))
    if not weights:
        return None
    colors = {task: COLORS[i % len(COLORS)] for i, task in enumerate(weights)}
    panels = []
    for curves, ylabel, limits in (
        (weights, "weight", (0, None)),
        (cosines, f"cosine to {main}, at the features", (-1, 1)),
    ):
        if not _any_varies(curves.values()):
            continue
        with Panel() as panel:
            for task, points in curves.items():
                panel.axes.plot(*_xy(points), color=colors[task], label=task, marker="o",
                                markersize=3)  # fmt: skip
            panel.axes.set(xlabel="epoch", ylabel=ylabel, ylim=limits)
            panel.axes.axhline(0, color=INK, linewidth=0.8, alpha=0.4)
            panel.axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
        panels.append(panel.svg)
    last_weights = ", ".join(f"{t} {points[-1][1]:.3f}" for t, points in weights.items())
    last_cosines = ", ".join(f"{t} {points[-1][1]:.2f}" for t, points in cosines.items())
    alt = (
        f"Weight per task at the end: {last_weights}; cosine of its gradient to that of {main}: "
        f"{last_cosines or 'not measured'}."
    )
    return Plot("Task weights and gradients", tuple(panels), alt)


def _mean_over_folds(histories: list[History], name: str) -> dict[str, Points]:
    """Task to its points: epoch, and the mean over the folds that have a value there."""
    values: dict[str, dict[float, list[float]]] = {}
    for entry in (entry for history in histories for entry in history):
        for task, value in entry.get("task_weighting", {}).get(name, {}).items():
            values.setdefault(task, {}).setdefault(entry["epoch"], []).append(value)
    return {
        task: [(epoch, float(np.mean(of_epoch))) for epoch, of_epoch in sorted(by_epoch.items())]
        for task, by_epoch in values.items()
    }


def plot_fold_ensemble(test: dict[str, Any]) -> Plot | None:
    """The scores of one fold, of two averaged folds, …, on test rows.

    Args:
        test: from ``score_fold_ensembles``.

    Returns:
        The plot; None with a single fold, or where the scores do not differ.
    """
    scores = {int(n): [v for v in values if v is not None] for n, values in test["scores"].items()}
    scores = {n: values for n, values in scores.items() if values}
    if len(scores) < 2 or not _varies(value for values in scores.values() for value in values):
        return None
    means = [float(np.mean(values)) for values in scores.values()]
    with Panel() as panel:
        axes = panel.axes
        for count, values in scores.items():
            label = "some of the folds" if count == 1 else None
            axes.plot([count] * len(values), values, "o", color=COLORS[0], alpha=0.5, markersize=4,
                      label=label)  # fmt: skip
        axes.plot(list(scores), means, color=COLORS[1], marker="D", label="mean")
        axes.set(xlabel="folds averaged", ylabel=test["metric"], xticks=list(scores))
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    points = ", ".join(f"{n}: {m:.4f}" for n, m in zip(scores, means, strict=True))
    alt = f"{test['metric']} on {test['rows']:,} test rows by number of folds averaged: {points}."
    return Plot(
        "Ensemble against single folds, on test rows", (panel.svg,), alt, _task_of(test["metric"])
    )


def plot_label_rates(task: str, columns: list[str], labels: np.ndarray) -> Plot | None:
    """The share of rows at or above 0.5 by label, and of rows without the label.

    Args:
        task: the name of the task.
        columns: names of its binary label columns.
        labels: ``(rows, len(columns))``, NaN where not labeled.

    Returns:
        The plot; None for a single label.
    """
    if len(columns) < 2:
        return None
    is_labeled = ~np.isnan(labels)
    with np.errstate(invalid="ignore"):
        rates = np.where(is_labeled, labels >= 0.5, False).sum(axis=0) / is_labeled.sum(axis=0)
    missing = 1 - is_labeled.mean(axis=0)
    with Panel(WIDTH, _height_of(columns)) as panel:
        axes, heights = panel.axes, np.arange(len(columns))[::-1]
        axes.barh(heights + 0.2, rates, height=0.36, color=COLORS[1], label="label ≥ 0.5")
        if missing.any():
            axes.barh(heights - 0.2, missing, height=0.36, color=COLORS[0], label="no label")
        axes.set(yticks=heights, yticklabels=columns, xlabel="share of rows (of labeled rows)")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    shares = ", ".join(f"{c} {r:.3f}" for c, r in zip(columns, rates, strict=True))
    alt = f"Share of rows with a label of 0.5 or more: {shares}."
    return Plot(f"Labels of {task}", (panel.svg,), alt, task)


def plot_label_scores(
    record: dict[str, Any], task: str, metric: str, columns: list[str]
) -> Plot | None:
    """One metric of every label column of a task, out of fold and in each fold.

    Args:
        record: the cross-validated scores.
        task: the name of the task.
        metric: the name of the metric.
        columns: the label columns.

    Returns:
        The plot; None where fewer than two columns have a score.
    """
    names = {column: f"{task}/{metric}/{column}" for column in columns}
    scores = {c: name for c, name in names.items() if record["oof"].get(name) is not None}
    if len(scores) < 2:
        return None
    with Panel(WIDTH, _height_of(scores)) as panel:
        axes, heights = panel.axes, np.arange(len(scores))[::-1]
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
    return Plot(f"Every label of {task}, {metric}", (panel.svg,), alt, task)


def _height_of(columns: Iterable[str]) -> float:
    """Inches of a panel with one line per column."""
    return 1.0 + 0.28 * len(list(columns))


def _task_of(metric: str) -> str:
    """The task of ``<task>/<metric>``; none for a mean over tasks."""
    return metric.split("/")[0] if "/" in metric else ""


def _xy(points: Points) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _varies(values: Iterable[float]) -> bool:
    """Whether there are two different values."""
    return len(set(values)) > 1


def _any_varies(curves: Iterable[Points]) -> bool:
    """Whether some curve is neither one dot nor a constant line."""
    return any(_varies(value for _, value in points) for points in curves)
