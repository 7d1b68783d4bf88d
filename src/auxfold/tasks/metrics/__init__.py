"""Metrics by name, one file per family, and the tables of each kind of task's metrics.

A metric is a function of one column's labels and predictions. It is None where it is undefined on
the rows, never 0 and never NaN.
"""

from auxfold.tasks.metrics.classification import (
    accuracy,
    balanced_accuracy,
    confusion,
    f1_at_half,
    f_beta,
    matthews,
    precision,
    recall,
)
from auxfold.tasks.metrics.metric import Metric, mean_defined
from auxfold.tasks.metrics.probabilistic import class_log_loss, log_loss
from auxfold.tasks.metrics.ranking import auroc, average_precision, roc_auc
from auxfold.tasks.metrics.registry import (
    BINARY_METRICS,
    MULTICLASS_METRICS,
    REGRESSION_METRICS,
    higher_is_better,
    metric_name,
)
from auxfold.tasks.metrics.regression import mae, mse, pearson, r2, rmse, spearman

__all__ = [
    "BINARY_METRICS",
    "MULTICLASS_METRICS",
    "REGRESSION_METRICS",
    "Metric",
    "accuracy",
    "auroc",
    "average_precision",
    "balanced_accuracy",
    "class_log_loss",
    "confusion",
    "f1_at_half",
    "f_beta",
    "higher_is_better",
    "log_loss",
    "mae",
    "matthews",
    "mean_defined",
    "metric_name",
    "mse",
    "pearson",
    "precision",
    "r2",
    "recall",
    "rmse",
    "roc_auc",
    "spearman",
]
