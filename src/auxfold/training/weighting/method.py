"""The base of the task-weighting methods, which is also the method ``fixed``.

A method gives one factor per task. The factor is constant within an optimizer step and multiplies
what ``task.weight`` has already weighted. A factor on the loss moves heads and backbone. A factor
on the features scales only the gradient that a task sends into the backbone, while the task's head
keeps learning at full weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from auxfold.config import TaskWeightingSettings
from auxfold.training.weighting.gram import RunningGram


@dataclass(frozen=True)
class StepLosses:
    """The losses of one optimizer step; all tensors are ``(tasks,)`` on the CPU.

    Attributes:
        losses: float64, the loss of each task before ``task.weight`` and factor; 0 where absent.
        present: bool, which tasks had a label in the step.
    """

    losses: torch.Tensor
    present: torch.Tensor


class WeightingMethod:
    """``fixed``, and the base of all other methods: every factor is one.

    Args:
        settings: the ``[task_weighting]`` section.
        weights: ``(tasks,)`` float64, each task's ``weight``.
        main: the index of the main task.
        gram: the running mean of the steps' Gram matrices, of losses that ``task.weight`` has
            weighted. It is filled only for methods with ``measures_every_step``.

    Attributes:
        acts_on_features: whether the factors scale the gradient at the features, or the loss.
        measures_every_step: whether the method needs the Gram matrix of every step.
        needs_loss_after_step: whether the method needs the losses of the step's rows again after
            the optimizer's step.
        notice: what a person should know; printed once at the start of the training.
    """

    acts_on_features = False
    measures_every_step = False
    needs_loss_after_step = False
    notice = ""

    def __init__(
        self,
        settings: TaskWeightingSettings,
        weights: torch.Tensor,
        main: int,
        gram: RunningGram,
    ) -> None:
        self.settings, self.weights, self.main, self.gram = settings, weights, main, gram
        self.n_tasks = len(weights)
        self.state: dict[str, torch.Tensor] = {}

    def parameters(self) -> list[nn.Parameter]:
        """What the optimizer learns for the method, without weight decay."""
        return []

    def factors(self) -> torch.Tensor:
        """``(tasks,)`` float64 on the CPU: the factors of the step that starts."""
        return torch.ones(self.n_tasks, dtype=torch.float64)

    def update(self, step: StepLosses) -> None:
        """Learn from a step, after its last backward pass and before the optimizer's step."""

    def after_step(self, before: StepLosses, after: StepLosses) -> None:
        """Learn from the losses of the same rows before and after the optimizer's step."""

    def minimized_loss(self, losses: torch.Tensor) -> float | None:
        """The loss that is minimized, or None where it is the weighted sum of the tasks' losses."""
        return None

    def finish_epoch(self) -> None:
        """Called after the last step of an epoch."""

    def state_dict(self) -> dict[str, Any]:
        """The state from which :meth:`load_state_dict` continues."""
        return {name: value.detach().clone() for name, value in self.state.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state_dict`."""
        with torch.no_grad():
            for name, value in self.state.items():
                value.copy_(state[name])

    def _running_losses(self, step: StepLosses) -> torch.Tensor:
        """``(tasks,)`` running means of the losses over the steps in which a task has labels."""
        sums, counts = self.state["losses"], self.state["counts"]
        decay = self.settings.ema_decay
        for average, value in ((sums, step.losses), (counts, torch.ones_like(counts))):
            moved = decay * average + (1 - decay) * value
            average.copy_(torch.where(step.present, moved, average))
        return sums / counts

    def _vector(self, value: float) -> torch.Tensor:
        return torch.full((self.n_tasks,), value, dtype=torch.float64)
