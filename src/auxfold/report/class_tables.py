"""Precision, recall, F1 and support of every label or class, and confusion matrices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from auxfold.postprocessing.cut_points import apply_cut_points
from auxfold.report.tables import format_score
from auxfold.tasks import Task, TaskSet
from auxfold.tasks.metrics import confusion

MAX_ROWS = 10  # of a table; of more labels or classes, those with the lowest F1 are shown first
MAX_CLASSES = 12  # of a confusion matrix; of more classes, the most frequent confusions are listed
BINARY_NOTE = (
    "The threshold is the one with the highest F1 on all out-of-fold rows, so that precision, "
    "recall and F1 at it are a little too good. Nested F1 decides the rows of every fold by the "
    "threshold of the other folds: expect this one on new rows."
)
CLASS_NOTE = "The predicted class is the most likely one."


@dataclass(frozen=True)
class Confusion:
    """Counts of rows by true and predicted class.

    Attributes:
        subject: the label or the column, with the threshold.
        names: the classes.
        counts: ``(classes, classes)``, true class by row, predicted class by column.
    """

    subject: str
    names: list[str]
    counts: np.ndarray

    @property
    def title(self) -> str:
        """What the matrix, or the list, shows."""
        if self.is_large:
            return f"{self.subject}: the most frequent confusions"
        is_binary = len(self.names) == 2
        return self.subject if is_binary else f"{self.subject}: rows by true and predicted class"

    @property
    def is_large(self) -> bool:
        """Whether there are too many classes for a matrix."""
        return len(self.names) > MAX_CLASSES

    @property
    def shares(self) -> np.ndarray:
        """``(classes, classes)`` shares of the rows of the true class; 0 where it has none."""
        return self.counts / np.maximum(self.counts.sum(axis=1, keepdims=True), 1)

    def frequent(self, n_rows: int = 15) -> list[tuple[str, str, int, float]]:
        """The most frequent confusions: true class, predicted class, rows, share of the true."""
        off_diagonal = self.counts * (1 - np.eye(len(self.names), dtype=int))
        order = np.argsort(-off_diagonal, axis=None, kind="stable")[:n_rows]
        pairs = [np.unravel_index(index, off_diagonal.shape) for index in order]
        return [
            (self.names[i], self.names[j], int(self.counts[i, j]), float(self.shares[i, j]))
            for i, j in pairs
            if off_diagonal[i, j]
        ]


@dataclass(frozen=True)
class ClassTable:
    """What is decided for the rows of one task, label by label or class by class.

    Attributes:
        task: the name of the task.
        header: the headings of the columns.
        rows: the cells, one row per label or class.
        note: how rows are decided.
        confusions: the confusion matrices.
        lowest: of a long table the rows with the lowest F1; empty where all rows are few.
        averages: rows of averages over the classes.
    """

    task: str
    header: list[str]
    rows: list[list[str]]
    note: str
    confusions: list[Confusion]
    lowest: list[list[str]]
    averages: list[list[str]] = field(default_factory=list)


def class_tables(
    tasks: TaskSet, labels: np.ndarray, oof: pd.DataFrame, record: dict[str, Any]
) -> list[ClassTable]:
    """A table for every task with labels or classes to decide.

    Args:
        tasks: the tasks of the predictions.
        labels: ``Table.labels``, ``(rows, label columns)``.
        oof: out-of-fold predictions of the same rows.
        record: from ``evaluate_postprocess``, with thresholds and cut points.
    """
    thresholds = record.get("thresholds", {})
    cut_points = record.get("cut_points", {}).get("values", {})
    tables = []
    for task, columns in tasks.items():
        of_task = labels[:, columns], oof[task.prediction_columns].to_numpy()
        if task.has_positive_class:
            tables.append(_binary_table(task, *of_task, thresholds))
        elif task.class_names is not None:
            tables.append(_multiclass_table(task, *of_task, cut_points))
        else:
            tables += _rating_tables(task, *of_task, cut_points)
    return tables


def _binary_table(
    task: Task, labels: np.ndarray, predictions: np.ndarray, tuned: dict[str, Any]
) -> ClassTable:
    header = ["label", "positive rows", "threshold", "precision", "recall", "F1", "nested F1",
              "F1 at 0.5"]  # fmt: skip
    rows, scores, confusions = [], [], []
    columns = task.settings.label_columns
    for position, column in enumerate(columns):
        known = ~np.isnan(labels[:, position])
        positive, values = labels[known, position] >= 0.5, predictions[known, position]
        threshold = tuned.get("values", {}).get(column, 0.5)
        counts = _binary_confusion(positive, values >= threshold)
        precision, recall, f1 = _class_scores(counts, 1)
        nested = tuned.get("f1_of_labels", {}).get(column, {"tuned": None})["tuned"]
        at_half = _binary_confusion(positive, values >= 0.5)
        share = f"{int(positive.sum()):,} of {len(positive):,}"
        numbers = (precision, recall, f1, nested, _class_scores(at_half, 1)[2])
        rows.append([column, share, f"{threshold:.4f}", *map(format_score, numbers)])
        scores.append(f1)
        confusions.append(_yes_no(f"{column} at threshold {threshold:.4f}", counts))
        if len(columns) == 1:
            confusions.append(_yes_no(f"{column} at 0.5", at_half))
    return ClassTable(task.name, header, rows, BINARY_NOTE, confusions, _lowest(rows, scores))


def _multiclass_table(
    task: Task, labels: np.ndarray, predictions: np.ndarray, cut_points: dict[str, Any]
) -> ClassTable:
    names, (target,) = task.class_names, task.settings.targets
    assert names is not None
    truth = task.column_labels(labels, 0)
    matrices = [Confusion(target, names, confusion(truth, predictions))]
    note = CLASS_NOTE
    if target in cut_points:
        decisions = apply_cut_points(task, predictions, **cut_points[target])
        subject = f"{target} at the cut points"
        matrices.append(Confusion(subject, names, confusion(truth, decisions)))
        note += f" {_describe_cut_points(cut_points[target])}"
    return _class_table(task.name, matrices, note)


def _rating_tables(
    task: Task, labels: np.ndarray, predictions: np.ndarray, cut_points: dict[str, Any]
) -> Iterator[ClassTable]:
    """Numbers that cut points turn into ordered classes, target by target."""
    for position, target in enumerate(task.settings.targets):
        if target not in cut_points:
            continue
        lowest, n_classes = cut_points[target]["lowest"], len(cut_points[target]["cut_points"]) + 1
        predicted = apply_cut_points(task, predictions[:, [position]], **cut_points[target])
        probabilities = (predicted - lowest == np.arange(n_classes)) * 1.0
        names = [f"{lowest + number:g}" for number in range(n_classes)]
        counts = confusion(labels[:, position] - lowest, probabilities)
        matrix = Confusion(f"{target} at the cut points", names, counts)
        yield _class_table(task.name, [matrix], _describe_cut_points(cut_points[target]))


def _describe_cut_points(tuned: dict[str, Any]) -> str:
    points = ", ".join(f"{point:.4f}" for point in tuned["cut_points"])
    return (
        f"The cut points with the highest quadratic kappa on all out-of-fold rows are {points}: a "
        f"prediction (of classes the expected class number, from 0) is of the class that is the "
        f"number of cut points at or below it."
    )


def _class_table(task: str, matrices: list[Confusion], note: str) -> ClassTable:
    """The table of the first of the confusion matrices."""
    names, counts = matrices[0].names, matrices[0].counts
    scores = [_class_scores(counts, number) for number in range(len(names))]
    support, predicted = counts.sum(axis=1), counts.sum(axis=0)
    rows = [
        [name, f"{support[i]:,}", f"{predicted[i]:,}", *map(format_score, scores[i])]
        for i, name in enumerate(names)
    ]
    header = ["class", "rows", "predicted", "precision", "recall", "F1"]
    lowest = _lowest(rows, [f1 for _, _, f1 in scores])
    return ClassTable(task, header, rows, note, matrices, lowest, _averages(scores, support))


def _averages(
    scores: list[tuple[float | None, float | None, float | None]], support: np.ndarray
) -> list[list[str]]:
    """Two rows: means over the classes with rows, plain and weighted by their rows."""
    present = [i for i, rows in enumerate(support) if rows]
    if not present:
        return []
    # The precision of a class that is never predicted counts as 0, as in scikit-learn.
    values = np.array([[score or 0.0 for score in scores[i]] for i in present])
    total = f"{int(support.sum()):,}"
    means = {"macro average": values.mean(axis=0)}
    means["weighted average"] = np.average(values, axis=0, weights=support[present])
    return [[name, total, total, *map(format_score, mean)] for name, mean in means.items()]


def _class_scores(
    counts: np.ndarray, index: int
) -> tuple[float | None, float | None, float | None]:
    """Precision, recall and F1 of one class.

    Precision is None where the class is never predicted; recall and F1 are where it has no row.
    """
    hits = int(counts[index, index])
    support, predicted = int(counts[index].sum()), int(counts[:, index].sum())
    return (
        hits / predicted if predicted else None,
        hits / support if support else None,
        2 * hits / (support + predicted) if support else None,
    )


def _binary_confusion(positive: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    return np.bincount(positive * 2 + predicted, minlength=4).reshape(2, 2)


def _yes_no(subject: str, counts: np.ndarray) -> Confusion:
    return Confusion(subject, ["negative", "positive"], counts)


def _lowest(rows: list[list[str]], f1: list[float | None]) -> list[list[str]]:
    """Of more than ten rows the ten with the lowest F1, lowest first; those without one last."""
    if len(rows) <= MAX_ROWS:
        return []
    order = sorted(range(len(rows)), key=lambda i: (f1[i] is None, f1[i] or 0.0))
    return [rows[i] for i in order[:MAX_ROWS]]
