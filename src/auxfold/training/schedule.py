"""The learning rate of every step, computed where the parameters are."""

from __future__ import annotations

import math
from typing import Any

import torch

from auxfold.config import Train


class LearningRateSchedule:
    """Linear warm-up over ``warmup_ratio`` of all steps, then linear or cosine decay to zero.

    The rates of the optimizer's groups become tensors, which follow a count of the steps taken. A
    step that is not finite leaves the count as it was. All of this happens on the device, so that
    the host need not know whether a step was taken.

    Args:
        optimizer: its groups hold the highest rates, as numbers.
        settings: the ``[train]`` section.
        n_steps: optimizer steps of the whole training.

    Attributes:
        rates: ``(groups,)`` the current rate of each group, on the device.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, settings: Train, n_steps: int) -> None:
        self.optimizer, self.n_steps = optimizer, n_steps
        device = optimizer.param_groups[0]["params"][0].device
        highest = [group["lr"] for group in optimizer.param_groups]
        self._highest = torch.tensor(highest, dtype=torch.float64, device=device)
        factors = schedule_factors(settings, n_steps)
        self._factors = torch.tensor(factors, dtype=torch.float64, device=device)
        self._steps_taken = torch.zeros(1, dtype=torch.int64, device=device)
        # Fused AdamW reads rates of single precision on a GPU, and of any precision elsewhere.
        dtype = torch.float32 if device.type == "cuda" else torch.float64
        self.rates = torch.zeros(len(highest), dtype=dtype, device=device)
        self._attach()

    def advance(self, is_taken: torch.Tensor) -> None:
        """Move to the next step where ``is_taken``, a bool scalar on the device, is true."""
        self._steps_taken.add_(is_taken).clamp_(max=self.n_steps)
        self._set_rates()

    def get_last_lr(self) -> list[float]:
        """The current rate of each group; the host waits for the device."""
        return self.rates.tolist()

    def state_dict(self) -> dict[str, Any]:
        """The state from which :meth:`load_state_dict` continues."""
        return {"last_epoch": int(self._steps_taken)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state_dict`, after the optimizer's state was loaded."""
        self._steps_taken.fill_(state["last_epoch"])
        self._attach()

    def _attach(self) -> None:
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate  # a view of the one tensor that is written
        self._set_rates()

    def _set_rates(self) -> None:
        self.rates.copy_(self._highest * self._factors[self._steps_taken])


def schedule_factors(settings: Train, n_steps: int) -> list[float]:
    """The rate at each step as a share of the highest, from before the first to after the last."""
    # The formulas of transformers' get_scheduler, whose module imports half of what it can find.
    n_warmup = round(settings.warmup_ratio * n_steps)

    def factor(step: int) -> float:
        if step < n_warmup:
            return step / n_warmup
        progress = (step - n_warmup) / max(1, n_steps - n_warmup)
        if settings.schedule == "cosine":
            return max(0.0, 0.5 * (1.0 + math.cos(math.pi * progress)))
        return (n_steps - step) / max(1, n_steps - n_warmup)

    return [factor(step) for step in range(n_steps + 1)]
