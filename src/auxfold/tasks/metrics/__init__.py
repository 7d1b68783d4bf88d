"""Metrics by name, one file per family, and the tables of each kind of task's metrics.

A metric is a function of one column's labels and predictions. It is None where it is undefined on
the rows, never 0 and never NaN.
"""

from auxfold.tasks.metrics.classification import (
    accuracy,
    balanced_accuracy,
    class_numbers,
    confusion,
    f1_at_half,
    f_beta,
    map_at_k,
    matthews,
    precision,
    recall,
    top_k_accuracy,
)
from auxfold.tasks.metrics.metric import Metric, mean_defined
from auxfold.tasks.metrics.ordinal import quadratic_kappa, rounded_quadratic_kappa
from auxfold.tasks.metrics.probabilistic import (
    brier,
    class_log_loss,
    expected_calibration_error,
    log_loss,
    reliability_curve,
)
from auxfold.tasks.metrics.ranking import auroc, average_precision, roc_auc
from auxfold.tasks.metrics.registry import (
    BINARY_METRICS,
    METRICS,
    MULTICLASS_METRICS,
    ORDINAL_METRICS,
    REGRESSION_METRICS,
    higher_is_better,
    metric_name,
    select_metrics,
)
from auxfold.tasks.metrics.regression import mae, mse, pearson, r2, rmse, spearman

__all__ = [
    "BINARY_METRICS",
    "METRICS",
    "MULTICLASS_METRICS",
    "ORDINAL_METRICS",
    "REGRESSION_METRICS",
    "Metric",
    "accuracy",
    "auroc",
    "average_precision",
    "balanced_accuracy",
    "brier",
    "class_log_loss",
    "class_numbers",
    "confusion",
    "expected_calibration_error",
    "f1_at_half",
    "f_beta",
    "higher_is_better",
    "log_loss",
    "mae",
    "map_at_k",
    "matthews",
    "mean_defined",
    "metric_name",
    "mse",
    "pearson",
    "precision",
    "quadratic_kappa",
    "r2",
    "recall",
    "reliability_curve",
    "rmse",
    "roc_auc",
    "rounded_quadratic_kappa",
    "select_metrics",
    "spearman",
    "top_k_accuracy",
]
