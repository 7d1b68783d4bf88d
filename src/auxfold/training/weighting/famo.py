"""``famo``: every loss falls at about the same relative rate."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from auxfold.training.weighting.method import StepLosses, WeightingMethod


class Famo(WeightingMethod):
    """Fast adaptive multitask optimization.

    The factors are ``z / loss``, scaled to sum to the number of tasks, with ``z = softmax(w)``. A
    weight w rises where a loss fell less over the last step than the others did. The official code
    divides by the losses of the same step. Here it is their running mean, so that the factors are
    known before the first micro-batch. The losses after the step take a second forward pass over
    its rows, without gradient.

    Liu et al. (2023), *FAMO: Fast Adaptive Multitask Optimization*, Algorithm 2.
    """

    needs_loss_after_step = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.logits = nn.Parameter(self._vector(0.0))
        rate = self.settings.rate
        self.optimizer = torch.optim.Adam([self.logits], lr=rate, weight_decay=1e-3)
        self.state |= {"logits": self.logits, "losses": self._vector(0.0)}
        self.state["counts"] = self._vector(0.0)

    def factors(self) -> torch.Tensor:
        known = (self.state["counts"] > 0) & (self.weights > 0)
        factors = super().factors()
        if known.sum() < 2:
            return factors
        losses = self.state["losses"][known] / self.state["counts"][known]
        shares = torch.softmax(self.logits.detach()[known], dim=0) / (losses + 1e-8)
        factors[known] = known.sum() * shares / shares.sum()
        return factors

    def update(self, step: StepLosses) -> None:
        self._running_losses(step)

    def after_step(self, before: StepLosses, after: StepLosses) -> None:
        decrease = (before.losses + 1e-8).log() - (after.losses + 1e-8).log()
        with torch.enable_grad():
            shares = torch.softmax(self.logits[before.present], dim=0)
            grads = torch.autograd.grad(shares, self.logits, decrease[before.present])
        self.logits.grad = grads[0]
        self.optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.optimizer.load_state_dict(state["optimizer"])
