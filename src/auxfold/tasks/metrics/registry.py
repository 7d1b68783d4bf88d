"""The metrics of every kind of task by name, in the order in which they are written."""

from __future__ import annotations

from functools import partial

from auxfold.config import TaskSettings
from auxfold.tasks.metrics.classification import (
    accuracy,
    accuracy_at_half,
    balanced_accuracy,
    balanced_accuracy_at_half,
    f1_at_half,
    f_beta,
    kappa_at_half,
    map_at_k,
    matthews,
    matthews_at_half,
    precision,
    recall,
    top_k_accuracy,
)
from auxfold.tasks.metrics.metric import Metric
from auxfold.tasks.metrics.ordinal import (
    class_distance,
    class_quadratic_kappa,
    rounded_quadratic_kappa,
    within_one,
)
from auxfold.tasks.metrics.probabilistic import (
    brier,
    class_log_loss,
    expected_calibration_error,
    log_loss,
)
from auxfold.tasks.metrics.ranking import auroc, average_precision, roc_auc
from auxfold.tasks.metrics.regression import mae, mse, pearson, r2, rmse, spearman

FIRST_CLASSES = (3, 5, 10)  # k of the metrics of the k likeliest classes


def _first_classes_metrics() -> dict[str, Metric]:
    """``top3``, ``map3``, …, each for tasks with more classes than that."""
    metrics = {}
    for k in FIRST_CLASSES:
        for name, function in (("top", top_k_accuracy), ("map", map_at_k)):
            metric = Metric(partial(function, k=k), needs="probabilities", min_classes=k + 1)
            metrics[f"{name}{k}"] = metric
    return metrics


BINARY_METRICS = {
    "auc": Metric(roc_auc, needs="scores"),
    "ap": Metric(average_precision, needs="scores"),
    "f1": Metric(f1_at_half, needs="probabilities"),
    "accuracy": Metric(accuracy_at_half, needs="probabilities"),
    "balanced_accuracy": Metric(balanced_accuracy_at_half, needs="probabilities"),
    "mcc": Metric(matthews_at_half, needs="probabilities"),
    "kappa": Metric(kappa_at_half, needs="probabilities"),
    "log_loss": Metric(log_loss, needs="probabilities", higher_is_better=False),
    "brier": Metric(brier, needs="probabilities", higher_is_better=False),
    "ece": Metric(expected_calibration_error, needs="probabilities", higher_is_better=False),
}
MULTICLASS_METRICS = {
    "accuracy": Metric(accuracy, needs="classes"),
    "balanced_accuracy": Metric(balanced_accuracy, needs="classes"),
    "precision": Metric(precision, needs="classes"),
    "recall": Metric(recall, needs="classes"),
    "f1": Metric(f_beta, needs="classes"),
    "f0.5": Metric(partial(f_beta, beta=0.5), needs="classes"),
    "auroc": Metric(auroc, needs="probabilities"),
    "mcc": Metric(matthews, needs="classes"),
    "log_loss": Metric(class_log_loss, needs="probabilities", higher_is_better=False),
    **_first_classes_metrics(),
}
ORDINAL_METRICS = {
    "qwk": Metric(class_quadratic_kappa, needs="classes"),
    "mae": Metric(class_distance, needs="classes", higher_is_better=False),
    "accuracy": Metric(accuracy, needs="classes"),
    "within_one": Metric(within_one, needs="classes"),
    "log_loss": Metric(class_log_loss, needs="probabilities", higher_is_better=False),
}
REGRESSION_METRICS = {
    "spearman": Metric(spearman, needs="scores"),
    "pearson": Metric(pearson, needs="values"),
    "rmse": Metric(rmse, needs="values", higher_is_better=False),
    "mse": Metric(mse, needs="values", higher_is_better=False),
    "mae": Metric(mae, needs="values", higher_is_better=False),
    "r2": Metric(r2, needs="values"),
    "qwk": Metric(rounded_quadratic_kappa, needs="values"),
}
METRICS = {
    "binary": BINARY_METRICS,
    "multiclass": MULTICLASS_METRICS,
    "ordinal": ORDINAL_METRICS,
    "regression": REGRESSION_METRICS,
    "tags": BINARY_METRICS,
}
ALIASES = {"mcrmse": "rmse"}  # the mean of the columns' RMSE, under Feedback Prize's name for it

_LOWER_IS_BETTER = {
    name
    for metrics in METRICS.values()
    for name, metric in metrics.items()
    if not metric.higher_is_better
}


def select_metrics(metrics: dict[str, Metric], settings: TaskSettings) -> dict[str, Metric]:
    """The metrics that a task has by its number of classes."""
    n_classes = len(settings.class_names or ())
    return {name: metric for name, metric in metrics.items() if metric.min_classes <= n_classes}


def higher_is_better(metric: str) -> bool:
    """Whether a larger value of ``<task>/<metric>[/<column>]`` or ``<metric>`` is better."""
    name = metric_name(metric)
    return ALIASES.get(name, name) not in _LOWER_IS_BETTER


def metric_name(metric: str) -> str:
    """``auc`` of ``<task>/auc``, ``<task>/auc/<column>`` and ``auc``."""
    parts = metric.split("/")
    return parts[1] if len(parts) > 1 else parts[0]
