"""The loss with the shape of the bias metric."""

from __future__ import annotations

from auxfold.config import ProbabilitySettings
from auxfold.tasks.losses.binary_cross_entropy import BinaryCrossEntropy


class MetricShaped(BinaryCrossEntropy):
    """Sigmoid cross-entropy of cells that training/metric_shaped.py combines.

    They are combined like the bias metric of Jigsaw Unintended Bias (1st place, Kaggle 2019), by
    power means over identities.
    """

    keys = ("power",)

    def __init__(self, settings: ProbabilitySettings) -> None:
        super().__init__(settings)
        self.bias_loss_power = settings.power
