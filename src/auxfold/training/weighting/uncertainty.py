"""``uncertainty``: learned log-variances weight the tasks."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from auxfold.training.weighting.method import StepLosses, WeightingMethod


class Uncertainty(WeightingMethod):
    """Homoscedastic uncertainty.

    The total loss is ``Σ task.weight · (exp(-s) · loss + s / 2)`` with a learned log-variance s per
    task. The factors are exp(-s) at the start of a step, and the gradient of s is its closed form,
    so that micro-batches, processes and the loss scale of fp16 do not touch it, nor does gradient
    clipping. ``task.weight`` stays outside the bracket: inside it, s would learn to undo it.

    Kendall, Gal and Cipolla (2018), *Multi-Task Learning Using Uncertainty to Weigh Losses for
    Scene Geometry and Semantics*.
    """

    notice = (
        "task_weighting.method = 'uncertainty': the loss that is minimized is sum of weight * "
        "(exp(-s) * loss + s / 2) and may be negative; the losses shown per task are without s"
    )

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.log_variances = nn.Parameter(torch.zeros(self.n_tasks))
        self.state["log_variances"] = self.log_variances

    def parameters(self) -> list[nn.Parameter]:
        return [self.log_variances]

    def factors(self) -> torch.Tensor:
        return torch.exp(-self._log_variances())

    def update(self, step: StepLosses) -> None:
        slope = self.weights * (0.5 - self.factors() * step.losses)
        # A task without a label in the step contributes exactly nothing, s/2 included.
        slope = torch.where(step.present, slope, 0.0)
        self.log_variances.grad = slope.to(self.log_variances)

    def minimized_loss(self, losses: torch.Tensor) -> float:
        terms = self.factors() * losses + self._log_variances() / 2
        return float((self.weights * terms).sum())

    def _log_variances(self) -> torch.Tensor:
        return self.log_variances.detach().cpu().double()
