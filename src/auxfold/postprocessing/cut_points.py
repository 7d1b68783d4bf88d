"""Cut points that turn a score into an ordered class, for the best quadratic kappa out of fold.

The score is the expected class number of an ordinal task, or the prediction of a regression whose
labels are whole numbers. The gain is estimated nested: the rows of each fold are decided by cut
points that were tuned on the other folds.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from auxfold.postprocessing.nested import apply_nested
from auxfold.tasks import Task, TaskSet
from auxfold.tasks.metrics import mean_defined, quadratic_kappa

QWK = "qwk"  # the metric, and the name of the cut points among the thresholds
MAX_CLASSES = 100  # of a regression: more numbers are amounts, not ratings
MAX_SWEEPS = 50  # over the cut points; a few are enough


def tune_cut_points(
    tasks: TaskSet, labels: np.ndarray, oof: pd.DataFrame, folds: np.ndarray
) -> dict[str, Any]:
    """Cut points of ordinal tasks, and of a regression whose ``qwk`` selects checkpoints.

    Args:
        tasks: the tasks of the predictions.
        labels: ``Table.labels``, ``(rows, label columns)``.
        oof: out-of-fold predictions of the same rows.
        folds: the fold of each row, ``(rows,)``.

    Returns:
        ``values``: target to ``lowest`` (the lowest class as a number) and ``cut_points``, tuned on
        all rows. ``qwk``: task to ``untuned`` (of the likeliest class, or of rounded predictions)
        and ``tuned`` (nested; None with a single fold), means over targets. Empty where no task
        has cut points.
    """
    values: dict[str, dict[str, Any]] = {}
    kappas: dict[str, dict[str, float | None]] = {}
    several_folds = len(np.unique(folds)) > 1
    for task, targets in _ordered_tasks(tasks, labels, oof):
        untuned: list[float | None] = []
        tuned: list[float | None] = []
        for target, target_labels, predictions in targets:
            lowest, n_classes = _class_range(task, target_labels)
            numbers, scores = target_labels - lowest, class_scores(task, predictions) - lowest
            cut_points = best_cut_points(numbers, scores, n_classes)
            values[target] = {"lowest": lowest, "cut_points": (cut_points + lowest).tolist()}
            untuned.append(
                task.metrics[QWK](target_labels, task.column_predictions(predictions, 0))
            )
            if several_folds:
                decisions = decide_nested(numbers, scores, folds, n_classes)
                tuned.append(quadratic_kappa(numbers, decisions))
        kappas[task.name] = {"untuned": mean_defined(untuned), "tuned": mean_defined(tuned)}
    return {"values": values, QWK: kappas} if values else {}


def best_cut_points(labels: np.ndarray, scores: np.ndarray, n_classes: int) -> np.ndarray:
    """The cut points with the highest quadratic kappa of ``labels``.

    A score is of the class that is the number of cut points at or below it. Each cut point in turn
    moves to its best place between its neighbors, of all places between two scores, until none
    moves; this starts from k + 0.5 and from the frequencies of the classes.

    Args:
        labels: ``(rows,)`` class numbers from 0, NaN where not labeled.
        scores: ``(rows,)`` on the scale of the class numbers.
        n_classes: the number of classes.

    Returns:
        ``(n_classes - 1,)`` rising numbers, each half-way between two neighboring scores; k + 0.5
        without labels.
    """
    plain = np.arange(n_classes - 1) + 0.5
    known = ~np.isnan(labels)
    if not known.any():
        return plain
    order = np.argsort(scores[known], kind="stable")
    y, ranked = labels[known][order].astype(np.float64), scores[known][order]
    frequencies = np.bincount(y.astype(int), minlength=n_classes).cumsum()[:-1]
    # A place is the number of rows below the cut point: ties are on one side of it.
    starts = [
        ranked.searchsorted(plain),
        ranked.searchsorted(ranked[np.minimum(frequencies, len(y) - 1)]),
    ]
    places = max((_climb(y, ranked, start) for start in starts), key=lambda p: _kappa_of(y, p))
    return np.maximum.accumulate([_between(ranked, position) for position in places])


def class_scores(task: Task, predictions: np.ndarray) -> np.ndarray:
    """``(rows,)`` expected class numbers, or the numbers themselves, of one target.

    Args:
        task: the task of the target.
        predictions: ``(rows, n_outputs)`` of the target.
    """
    if task.class_names is None:
        return predictions[:, 0].astype(np.float64)
    return predictions @ np.arange(predictions.shape[1])


def apply_cut_points(
    task: Task, predictions: np.ndarray, lowest: float, cut_points: list[float]
) -> np.ndarray:
    """Predictions of one target as decisions, ``(rows, n_outputs)``.

    Args:
        task: the task of the target.
        predictions: ``(rows, n_outputs)`` of the target.
        lowest: the lowest class as a number.
        cut_points: rising numbers.

    Returns:
        Of classes 1 for the class and 0 for the others; of a regression whole numbers.
    """
    numbers = np.searchsorted(cut_points, class_scores(task, predictions), side="right")
    if task.class_names is None:
        return (numbers + lowest)[:, None]
    return (numbers[:, None] == np.arange(predictions.shape[1])).astype(np.int64)


def decide_nested(
    labels: np.ndarray, scores: np.ndarray, folds: np.ndarray, n_classes: int
) -> np.ndarray:
    """``(rows,)`` class numbers, each row decided by the cut points of the other folds.

    Arguments as in :func:`best_cut_points`; ``folds`` are ``(rows,)``.
    """
    return apply_nested(
        labels,
        scores,
        folds,
        fit=partial(best_cut_points, n_classes=n_classes),
        apply=lambda scores, cut_points: np.searchsorted(cut_points, scores, side="right"),
    )


def _ordered_tasks(
    tasks: TaskSet, labels: np.ndarray, oof: pd.DataFrame
) -> Iterator[tuple[Task, list[tuple[str, np.ndarray, np.ndarray]]]]:
    """Each task with cut points, and its targets: their name, labels and predictions."""
    for task, columns in tasks.items():
        is_selected = tasks.selection_metric.split("/")[:2] == [task.name, QWK]
        if task.kind != "ordinal" and not (QWK in task.metrics and is_selected):
            continue
        predictions = oof[task.prediction_columns].to_numpy()
        targets = [
            (target, labels[:, columns][:, index], predictions[:, task.output_slice(index)])
            for index, target in enumerate(task.settings.targets)
        ]
        if all(_are_ratings(values) for _, values, _ in targets):
            yield task, targets


def _are_ratings(labels: np.ndarray) -> bool:
    """Whether labels are whole numbers, and not too far apart to be classes."""
    known = labels[~np.isnan(labels)]
    is_whole = len(known) > 0 and bool((known == np.rint(known)).all())
    return is_whole and np.ptp(known) < MAX_CLASSES


def _class_range(task: Task, labels: np.ndarray) -> tuple[float, int]:
    """The lowest class as a number, and how many classes there are."""
    if task.class_names is not None:
        return 0.0, len(task.class_names)
    lowest, highest = np.nanmin(labels), np.nanmax(labels)
    return float(lowest), int(highest - lowest) + 1


def _climb(y: np.ndarray, ranked: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Move one cut point after the other to its best place until the kappa rises no more.

    Args:
        y: ``(rows,)`` labels in the order of the scores.
        ranked: ``(rows,)`` the rising scores.
        places: ``(cut points,)`` rising row numbers to start from.
    """
    allowed = np.concatenate([[0], np.flatnonzero(np.diff(ranked)) + 1, [len(y)]])
    places, best = places.copy(), _kappa_of(y, places)
    for _ in range(MAX_SWEEPS):
        before = best
        for index in range(len(places)):
            lower = places[index - 1] if index else 0
            upper = places[index + 1] if index + 1 < len(places) else len(y)
            candidates = allowed[(allowed >= lower) & (allowed <= upper)]
            kappas = _kappas_of_places(y, places, index, candidates)
            if kappas.max() > best:
                places[index], best = candidates[kappas.argmax()], kappas.max()
        if best <= before:
            break
    return places


def _kappas_of_places(
    y: np.ndarray, places: np.ndarray, index: int, candidates: np.ndarray
) -> np.ndarray:
    """The kappas with one cut point at each of the candidates, in one pass over the rows."""
    below_sum = np.concatenate([[0.0], np.cumsum(y)])
    p = places.searchsorted(np.arange(len(y)), side="right").astype(np.float64)
    # From the cut point at the first candidate: one class lower for every row that it passes.
    lower, upper = candidates[0], candidates[-1]
    p[lower:upper] = index + 1
    passed = candidates - lower
    p_sum = p.sum() - passed
    p_squares = (p**2).sum() - passed * ((index + 1) ** 2 - index**2)
    products = p @ y - (below_sum[candidates] - below_sum[lower])
    return _kappa(y, p_sum, p_squares, products)


def _kappa_of(y: np.ndarray, places: np.ndarray) -> float:
    p = places.searchsorted(np.arange(len(y)), side="right").astype(np.float64)
    return float(_kappa(y, p.sum(), (p**2).sum(), p @ y))


def _kappa(y: np.ndarray, p_sum: Any, p_squares: Any, products: Any) -> Any:
    """Quadratic kappa from sums over the rows; 0 where it is undefined."""
    squares = (y**2).sum() + p_squares
    by_chance = squares - 2 * y.sum() * p_sum / len(y)
    error = np.divide(
        squares - 2 * products,
        by_chance,
        out=np.ones_like(by_chance + products),
        where=by_chance > 0,
    )
    return 1.0 - error


def _between(ranked: np.ndarray, position: int) -> float:
    """A number with ``position`` of the rising scores below it."""
    if position == 0:
        return float(ranked[0])
    if position == len(ranked):
        return float(np.nextafter(ranked[-1], np.inf))
    middle = float((ranked[position - 1] + ranked[position]) / 2)
    # There is no number between neighboring floats.
    return middle if ranked[position - 1] < middle else float(ranked[position])
