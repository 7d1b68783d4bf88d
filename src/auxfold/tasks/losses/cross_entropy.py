"""The loss of one of several classes."""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy

from auxfold.config import MulticlassSettings
from auxfold.tasks.losses.loss import Loss


class CrossEntropy(Loss[MulticlassSettings]):
    """Softmax cross-entropy over the classes of one column, with label smoothing."""

    def cell_losses(
        self, logits: torch.Tensor, labels: torch.Tensor, pos_weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        losses = cross_entropy(
            logits,
            labels[:, 0].long(),
            reduction="none",
            label_smoothing=self.settings.label_smoothing,
        )
        return losses[:, None]
