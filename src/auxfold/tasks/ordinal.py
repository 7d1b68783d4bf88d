"""Ordinal tasks: one of several classes that have an order."""

from __future__ import annotations

import numpy as np

from auxfold.config import OrdinalSettings
from auxfold.tasks.class_task import ClassTask
from auxfold.tasks.losses import CrossEntropy
from auxfold.tasks.metrics import ORDINAL_METRICS


class OrdinalTask(ClassTask):
    """The proportional odds model of McCullagh 1980, *Regression models for ordinal data*.

    The head gives one score per row and learns increasing cut points, and the model gives the
    logarithm of every class's probability as its logits (see ``model/cumulative.py``). The loss is
    minus the logarithm of the true class's probability.
    """

    settings: OrdinalSettings
    kind = "ordinal"
    default_metric = "qwk"
    headline = ("qwk", "mae", "within_one")
    metrics = ORDINAL_METRICS

    def __init__(self, settings: OrdinalSettings) -> None:
        super().__init__(settings)
        self.loss = CrossEntropy(settings)

    def initial_bias(self, labels: np.ndarray) -> np.ndarray:
        """``(classes - 1,)`` the logits of the rates of ``class <= k``: cut points of score 0."""
        rates = self.class_rates(labels)
        at_most = np.cumsum(rates)[:-1] / rates.sum()
        return (np.log(at_most) - np.log1p(-at_most)).astype(np.float32)
