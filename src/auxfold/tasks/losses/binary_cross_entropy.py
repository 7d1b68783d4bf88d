"""Sigmoid cross-entropy, and what all losses of binary tasks share."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from auxfold.config import ProbabilitySettings
from auxfold.tasks.losses.loss import Loss


class BinaryCrossEntropy(Loss[ProbabilitySettings]):
    """``-(w·y·log p + (1 - y)·log(1 - p))`` of label y and probability p, with pos_weight w.

    Label smoothing s moves the labels to ``y·(1 - s) + s / 2``.
    """

    def cell_losses(
        self, logits: torch.Tensor, labels: torch.Tensor, pos_weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        return binary_cross_entropy_with_logits(
            logits, self.smooth(labels), reduction="none", pos_weight=pos_weight
        )

    def smooth(self, labels: torch.Tensor) -> torch.Tensor:
        """The labels, moved towards 0.5."""
        smoothing = self.settings.label_smoothing
        return labels * (1 - smoothing) + 0.5 * smoothing

    def initial_bias(self, labels: np.ndarray, pos_weight: np.ndarray) -> np.ndarray:
        """``(head_width,)`` biases at which the loss of an untrained head is lowest.

        Args:
            labels: ``(rows, columns)``, NaN where not labeled.
            pos_weight: ``(columns,)``.
        """
        rates = positive_rates(labels)
        return (np.log(rates / (1 - rates)) + np.log(pos_weight)).astype(np.float32)


def positive_rates(labels: np.ndarray) -> np.ndarray:
    """``(columns,)`` mean labels, off 0 and 1: a fold may hold a single positive row, or none."""
    counts = np.maximum((~np.isnan(labels)).sum(axis=0), 1)
    rates = np.nansum(labels, axis=0) / counts
    return np.clip(rates, 0.5 / counts, 1 - 0.5 / counts)
