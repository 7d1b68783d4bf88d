"""All metrics of some rows: those of every task, and the bias of the main one by identity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from auxfold.data.table import Table
from auxfold.errors import list_first
from auxfold.fairness.jigsaw_bias import Bias, jigsaw_bias
from auxfold.tasks import TaskSet

N_IDS = 5  # rows that are named where predictions are not finite


@dataclass(frozen=True)
class Evaluation:
    """What some rows' predictions are worth.

    Attributes:
        metrics: by name; None where undefined.
        bias: the bias by identity; None where the experiment names no identity.
        non_finite: the positions of the rows with a prediction that is not finite. Where there is
            one, no metric is defined: some would be NaN, and others would look plausible.
    """

    metrics: dict[str, float | None]
    bias: Bias | None
    non_finite: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))


def evaluate_rows(
    tasks: TaskSet,
    table: Table,
    indices: np.ndarray,
    predictions: dict[str, np.ndarray],
    identities: Sequence[str] = (),
) -> Evaluation:
    """All metrics of predictions; the bias is that of the main task's first column.

    Args:
        tasks: all tasks of the experiment.
        table: the training table.
        indices: the rows of it that were predicted, as row numbers or a mask.
        predictions: task name to ``(len(indices), n_outputs)``.
        identities: the names of the columns of ``table.identities``.
    """
    labels = table.labels[indices]
    non_finite = find_non_finite(predictions)
    if len(non_finite):
        no_rows = {name: values[:0] for name, values in predictions.items()}
        metrics = dict.fromkeys(tasks.compute_metrics(labels[:0], no_rows))
    else:
        metrics = _finite_or_none(tasks.compute_metrics(labels, predictions))
    if not identities:
        return Evaluation(metrics, None, non_finite)
    truth, scores = labels[:, tasks.main_slice][:, 0], predictions[tasks.main.name][:, 0]
    if len(non_finite):
        scores = np.full_like(scores, np.nan)  # of which no area is defined
    bias = jigsaw_bias(truth, scores, table.identities[indices], identities)
    return Evaluation(metrics | bias.metrics(), bias, non_finite)


def find_non_finite(predictions: dict[str, np.ndarray]) -> np.ndarray:
    """The positions of the rows in which a prediction of some task is not finite.

    Args:
        predictions: task name to ``(rows, n_outputs)``.
    """
    finite = [np.isfinite(values).all(axis=1) for values in predictions.values()]
    return np.flatnonzero(~np.logical_and.reduce(finite))


def describe_non_finite(ids: np.ndarray, positions: np.ndarray) -> str:
    """How many rows have predictions that are not finite, with the ids of the first of them.

    Args:
        ids: of all rows.
        positions: of :func:`find_non_finite`.
    """
    names = list_first(ids[positions].tolist(), N_IDS, repr)
    return (
        f"{len(positions):,} of {len(ids):,} rows have predictions that are not finite "
        f"(rows {names})"
    )


def _finite_or_none(metrics: dict[str, float | None]) -> dict[str, float | None]:
    """The metrics without overflows, such as the mean of squares of 1e200."""
    return {
        name: value if value is not None and math.isfinite(value) else None
        for name, value in metrics.items()
    }
