"""The focal loss, in which easy rows count less."""

from __future__ import annotations

import torch

from auxfold.tasks.losses.binary_cross_entropy import BinaryCrossEntropy

EPS = 1e-6  # the least distance of label and probability, whose powers have no slope at 0


class Focal(BinaryCrossEntropy):
    """Sigmoid cross-entropy times ``|y - p| ** focal_gamma``.

    For hard labels this is the focal loss of Lin et al. 2017 (*Focal loss for dense object
    detection*), for soft ones that of Li et al. 2020 (*Generalized focal loss*), which is lowest at
    p = y.
    """

    keys = ("focal_gamma",)

    def cell_losses(
        self, logits: torch.Tensor, labels: torch.Tensor, pos_weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        distance = (self.smooth(labels) - logits.sigmoid()).abs().clamp(min=EPS)
        cells = super().cell_losses(logits, labels, pos_weight)
        return distance**self.settings.focal_gamma * cells
