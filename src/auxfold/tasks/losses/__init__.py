"""Losses by name, one file per family.

A loss is a class with the loss of every cell of a task. It says which keys of ``[[tasks]]`` it
reads and how many outputs the head has per column. The tables below hold the values of the ``loss``
key of each kind of task; ``config/tasks.py`` names the same values and keys.
"""

from auxfold.tasks.losses.binary_cross_entropy import BinaryCrossEntropy, positive_rates
from auxfold.tasks.losses.binned import Binned
from auxfold.tasks.losses.cross_entropy import CrossEntropy, FocalCrossEntropy
from auxfold.tasks.losses.focal import Focal
from auxfold.tasks.losses.loss import Loss
from auxfold.tasks.losses.metric_shaped import MetricShaped
from auxfold.tasks.losses.regression import AbsoluteError, Huber, SquaredError

BINARY_LOSSES: dict[str, type[BinaryCrossEntropy]] = {
    "bce": BinaryCrossEntropy,
    "focal": Focal,
    "binned": Binned,
    "metric_shaped": MetricShaped,
}
MULTICLASS_LOSSES: dict[str, type[CrossEntropy]] = {
    "cross_entropy": CrossEntropy,
    "focal": FocalCrossEntropy,
}
REGRESSION_LOSSES: dict[str, type[SquaredError | AbsoluteError | Huber]] = {
    "mse": SquaredError,
    "mae": AbsoluteError,
    "huber": Huber,
}

__all__ = [
    "BINARY_LOSSES",
    "MULTICLASS_LOSSES",
    "REGRESSION_LOSSES",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Loss",
    "positive_rates",
]
