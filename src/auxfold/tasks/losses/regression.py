"""Losses of numbers. Logits and labels are standardized where the task is."""

from __future__ import annotations

import torch
from torch.nn.functional import huber_loss, l1_loss, mse_loss

from auxfold.config import RegressionSettings
from auxfold.tasks.losses.loss import Loss


class SquaredError(Loss[RegressionSettings]):
    """``(y - p) ** 2``."""

    def cell_losses(
        self, logits: torch.Tensor, labels: torch.Tensor, pos_weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        return mse_loss(logits, labels, reduction="none")


class AbsoluteError(Loss[RegressionSettings]):
    """``|y - p|``."""

    def cell_losses(
        self, logits: torch.Tensor, labels: torch.Tensor, pos_weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        return l1_loss(logits, labels, reduction="none")


class Huber(Loss[RegressionSettings]):
    """Half the squared error up to ``huber_delta``, linear beyond (Huber 1964)."""

    keys = ("huber_delta",)

    def cell_losses(
        self, logits: torch.Tensor, labels: torch.Tensor, pos_weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        return huber_loss(logits, labels, reduction="none", delta=self.settings.huber_delta)
