"""The metrics of every kind of task by name, in the order in which they are written."""

from __future__ import annotations

from functools import partial

from auxfold.tasks.metrics.classification import (
    accuracy,
    balanced_accuracy,
    f1_at_half,
    f_beta,
    matthews,
    precision,
    recall,
)
from auxfold.tasks.metrics.metric import Metric
from auxfold.tasks.metrics.probabilistic import class_log_loss, log_loss
from auxfold.tasks.metrics.ranking import auroc, average_precision, roc_auc
from auxfold.tasks.metrics.regression import mae, mse, pearson, r2, rmse, spearman

BINARY_METRICS = {
    "auc": Metric(roc_auc, needs="scores"),
    "ap": Metric(average_precision, needs="scores"),
    "f1": Metric(f1_at_half, needs="probabilities"),
    "log_loss": Metric(log_loss, needs="probabilities", higher_is_better=False),
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
}
REGRESSION_METRICS = {
    "spearman": Metric(spearman, needs="scores"),
    "pearson": Metric(pearson, needs="values"),
    "rmse": Metric(rmse, needs="values", higher_is_better=False),
    "mse": Metric(mse, needs="values", higher_is_better=False),
    "mae": Metric(mae, needs="values", higher_is_better=False),
    "r2": Metric(r2, needs="values"),
}
ALIASES = {"mcrmse": "rmse"}  # the mean of the columns' RMSE, under Feedback Prize's name for it

_LOWER_IS_BETTER = {
    name
    for metrics in (BINARY_METRICS, MULTICLASS_METRICS, REGRESSION_METRICS)
    for name, metric in metrics.items()
    if not metric.higher_is_better
}


def higher_is_better(metric: str) -> bool:
    """Whether a larger value of ``<task>/<metric>[/<column>]`` or ``<metric>`` is better."""
    name = metric_name(metric)
    return ALIASES.get(name, name) not in _LOWER_IS_BETTER


def metric_name(metric: str) -> str:
    """``auc`` of ``<task>/auc``, ``<task>/auc/<column>`` and ``auc``."""
    parts = metric.split("/")
    return parts[1] if len(parts) > 1 else parts[0]
