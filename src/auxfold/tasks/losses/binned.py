"""A number in [0, 1] as one of evenly spaced classes."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from auxfold.config import ProbabilitySettings
from auxfold.tasks.losses.binary_cross_entropy import BinaryCrossEntropy


class Binned(BinaryCrossEntropy):
    """Cross-entropy over ``bins`` classes from 0 to 1 for each column.

    The label is in the nearest class, and the prediction is the expectation. The 2nd place of
    Jigsaw Unintended Bias (Kaggle 2019) had 11 classes.
    """

    keys = ("bins",)
    bins: int

    def __init__(self, settings: ProbabilitySettings) -> None:
        super().__init__(settings)
        self.bins = settings.bins

    def cell_losses(
        self, logits: torch.Tensor, labels: torch.Tensor, pos_weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        losses = cross_entropy(
            logits.reshape(-1, self.bins),
            self.nearest_bins(labels).reshape(-1),
            reduction="none",
            label_smoothing=self.settings.label_smoothing,
        )
        cells = losses.reshape(labels.shape)
        return cells if pos_weight is None else cells * (1 + (pos_weight - 1) * labels)

    def initial_bias(self, labels: np.ndarray, pos_weight: np.ndarray) -> np.ndarray:
        biases = []
        for column, weight in zip(labels.T, pos_weight, strict=True):
            known = torch.from_numpy(column[~np.isnan(column)])
            counts = np.bincount(self.nearest_bins(known).numpy(), minlength=self.bins)
            # A bin without a row in this fold starts rare, not impossible.
            counts = np.maximum(counts, 0.5) * (1 + (weight - 1) * np.linspace(0, 1, self.bins))
            biases.append(np.log(counts / counts.sum()))
        return np.concatenate(biases).astype(np.float32)

    def nearest_bins(self, labels: torch.Tensor) -> torch.Tensor:
        """The nearest bin; half-way the upper one, as a label counts from 0.5 on."""
        return (labels * (self.bins - 1) + 0.5).floor().long()
