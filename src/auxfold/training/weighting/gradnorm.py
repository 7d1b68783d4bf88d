"""``gradnorm``: tasks that have learned less get larger gradients."""

from __future__ import annotations

from typing import Any

import torch

from auxfold.training.weighting.method import StepLosses, WeightingMethod

MIN_FACTOR = 1e-3  # no task is lost for good, and norms stay distinguishable


class GradNorm(WeightingMethod):
    """GradNorm.

    The factors w descend the subgradient of ``Σ |w·g - mean(w·g) · r^alpha|``. Here g is the norm
    of a task's gradient at the features (a running mean, without ``task.weight``, which would
    cancel) and r is its loss over its first loss, relative to the mean. Norms are divided by their
    mean, so that the learning rate means the same for every loss. The factors stay above zero and
    sum to the number of tasks.

    Chen et al. (2018), *GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep
    Multitask Networks*.
    """

    measures_every_step = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.state |= {"factors": self._vector(1.0), "first": self._vector(float("nan"))}
        self.state |= {name: self._vector(0.0) for name in ("losses", "counts")}

    def factors(self) -> torch.Tensor:
        return self.state["factors"].clone()

    def update(self, step: StepLosses) -> None:
        losses, first = self._running_losses(step), self.state["first"]
        first.copy_(torch.where(first.isnan() & step.present, step.losses, first))
        norms = self.gram.mean().norms() / self.weights
        known = (first > 0) & (norms > 0) & norms.isfinite()
        if known.sum() < 2:
            return
        factors = self.state["factors"][known]
        weighted = factors * norms[known]
        rates = (losses / first)[known]
        target = weighted.mean() * (rates / rates.mean()) ** self.settings.alpha
        slope = torch.sign(weighted - target) * norms[known] / weighted.mean()
        moved = (factors - self.settings.rate * slope).clamp(min=MIN_FACTOR)
        self.state["factors"][known] = moved * known.sum() / moved.sum()
