"""The scores of a prediction file against a label file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from auxfold.config import BinarySettings
from auxfold.config.experiment import Experiment
from auxfold.data.labels import parse_labels
from auxfold.errors import InputError, nearest
from auxfold.evaluation.intervals import Sampler, area_interval
from auxfold.evaluation.labeled_predictions import LabeledPredictions
from auxfold.postprocessing.record import load_postprocess_record
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import Task, TaskSet, create_task
from auxfold.tasks.metrics import BINARY_METRICS, f1_at_half, mean_defined
from auxfold.tasks.metrics.metric import MetricFunction

TUNED_F1 = "f1_tuned"


def score_labeled_predictions(
    labeled: LabeledPredictions, metric: str | None, experiment: Experiment
) -> dict[str, float | None]:
    """Score a prediction file against a label file.

    Args:
        labeled: from ``read_labeled_predictions``; -1 in a binary label column is Kaggle's mark
            for a row that was not scored.
        metric: a metric of the columns' kinds; None: the main task's default, of the columns of
            its kind. ``f1_tuned`` decides by the thresholds that ``scripts/evaluate.py`` tuned out
            of fold.
        experiment: says which kind a column is of; an unknown column counts as binary.

    Returns:
        ``metric`` (the mean over columns on which it is defined) and ``metric/<column>``.

    Raises:
        InputError: unknown metric, or values that are not numbers.
    """
    return compute_scores(*read_scored_columns(labeled, metric, experiment))


@dataclass(frozen=True)
class ScoredColumn:
    """One column of a prediction file that is scored.

    Attributes:
        name: of the column.
        metric: the function of labels and predictions.
        labels: ``(rows,)``, or ``(rows, classes)`` shares; NaN where not labeled.
        predictions: what the metric takes.
    """

    name: str
    metric: MetricFunction
    labels: np.ndarray
    predictions: np.ndarray


def read_scored_columns(
    labeled: LabeledPredictions, metric: str | None, experiment: Experiment
) -> tuple[str, list[ScoredColumn]]:
    """The metric's name, and the columns that have it; see :func:`score_labeled_predictions`."""
    tasks = TaskSet.from_experiment(experiment)
    task_of_column = {column: task for task in tasks for column in task.settings.label_columns}
    # Other kinds may have a metric of the same name, such as accuracy.
    kinds = {task.kind for task in tasks} | {"binary"} if metric else {tasks.main.kind}
    metric = metric or tasks.main.default_metric
    thresholds = _tuned_thresholds(experiment) if metric == TUNED_F1 else {}
    columns: dict[str, ScoredColumn] = {}
    for column in labeled.columns:
        task = task_of_column.get(column) or _binary_task(column)
        if column in thresholds:
            decisions = labeled.parse_predictions([column])[:, 0] >= thresholds[column]
            labels = labeled.parse_labels(task, column)
            columns[column] = ScoredColumn(column, f1_at_half, labels, decisions * 1.0)
        elif metric in task.metrics and task.kind in kinds:
            # A column of shares stands for its task, whose classes are scored together.
            target = column if column in task.settings.targets else task.settings.targets[0]
            labels = labeled.parse_labels(task, target)
            predictions = _column_predictions(labeled, task, target, metric)
            columns[target] = ScoredColumn(target, task.metrics[metric], labels, predictions)
    if not columns:
        known = dict.fromkeys([*tasks.main.metrics, *BINARY_METRICS, TUNED_F1])
        raise InputError(f"no metric {metric!r}{nearest(metric, known)}; {', '.join(known)}")
    return metric, list(columns.values())


def compute_scores(metric: str, columns: list[ScoredColumn]) -> dict[str, float | None]:
    """``metric``, the mean over the columns on which it is defined, and ``metric/<column>``."""
    scores = {f"{metric}/{c.name}": c.metric(c.labels, c.predictions) for c in columns}
    return {metric: mean_defined(scores.values()), **scores}


def compute_interval(metric: str, columns: list[ScoredColumn]) -> dict[str, Any] | None:
    """The 95 % interval of the mean over the columns, as in ``cv.json``; None where undefined."""
    if metric == "auc":
        return area_interval((column.labels, column.predictions) for column in columns)

    def score(indices: np.ndarray, _: dict[str, np.ndarray]) -> float | None:
        return mean_defined(
            column.metric(column.labels[indices], column.predictions[indices]) for column in columns
        )

    n_predictions = sum(column.predictions[:1].size for column in columns)
    sampler = Sampler(score, np.zeros(len(columns[0].labels), dtype=int), n_predictions)
    return sampler.interval({})


def _tuned_thresholds(experiment: Experiment) -> dict[str, float]:
    """The thresholds of binary columns, tuned out of fold for F1."""
    folder = RunFolder.of(experiment)
    fold = folder.fold(experiment.folds.names[0])
    columns = load_postprocess_record(folder, fold)["columns"]
    return {
        column: settings["thresholds"]["f1"]
        for column, settings in columns.items()
        if "f1" in settings["thresholds"]
    }


def _binary_task(column: str) -> Task:
    return create_task(BinarySettings(name="column", kind="binary", columns=[column]))


def _column_predictions(
    labeled: LabeledPredictions, task: Task, column: str, metric: str
) -> np.ndarray:
    """What the metric of a column takes: ``(rows,)``, or ``(rows, classes)``."""
    if task.class_names is None:
        return labeled.parse_predictions([column])[:, 0]
    if set(task.prediction_columns) <= set(labeled.predictions.columns):
        return labeled.parse_predictions(task.prediction_columns)
    path = labeled.predictions_path
    if task.metrics[metric].needs == "probabilities":
        raise InputError(
            f"{path}: {metric} needs every class's probability, in columns such as "
            f"{task.prediction_columns[0]!r}"
        )
    classes = parse_labels(labeled.predictions, task.settings, path).values
    if np.isnan(classes).any():
        raise InputError(f"{path}: a prediction in column {column!r} is empty")
    return (classes == np.arange(task.n_outputs)) * 1.0
