"""``dwa``: a task whose loss fell little in the last epochs weighs more."""

from __future__ import annotations

from typing import Any

import torch

from auxfold.training.weighting.method import StepLosses, WeightingMethod


class DynamicWeightAverage(WeightingMethod):
    """Dynamic weight average, updated once per epoch.

    The factors are ``n · softmax(r / temperature)``, where r is the mean loss of a task in the last
    epoch over that of the epoch before. They are 1 in the first two epochs.

    Liu, Johns and Davison (2019), *End-to-End Multi-Task Learning with Attention*.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.state |= {name: self._vector(0.0) for name in ("sums", "counts")}
        self.state |= {name: self._vector(float("nan")) for name in ("last", "before")}

    def factors(self) -> torch.Tensor:
        ratios = self.state["last"] / self.state["before"]
        known = ratios.isfinite()
        if not known.any():
            return super().factors()
        ratios = torch.where(known, ratios, 1.0)
        return self.n_tasks * torch.softmax(ratios / self.settings.temperature, dim=0)

    def update(self, step: StepLosses) -> None:
        self.state["sums"] += torch.where(step.present, step.losses, 0.0)
        self.state["counts"] += step.present

    def finish_epoch(self) -> None:
        self.state["before"].copy_(self.state["last"])
        self.state["last"].copy_(self.state["sums"] / self.state["counts"])
        self.state["sums"].zero_()
        self.state["counts"].zero_()
