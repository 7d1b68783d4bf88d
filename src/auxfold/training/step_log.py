"""What optimizer steps gave: written on the device, read by the host now and then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

CAPACITY = 512  # steps between two reads


@dataclass(frozen=True)
class StepResult:
    """What one optimizer step gave, still on the device.

    Attributes:
        losses: the loss of each task with a label in the step, ``task.weight`` included.
        grad_norm: the norm of the gradient before clipping.
        is_finite: 1 where losses and gradient are finite and the step was taken, else 0.
    """

    losses: dict[str, torch.Tensor]
    grad_norm: torch.Tensor
    is_finite: torch.Tensor


@dataclass(frozen=True)
class StepRecord:
    """The same as numbers, with the rows of the step.

    Attributes:
        indices: the rows of the step.
        losses: the loss of each task with a label in the step, ``task.weight`` included.
        grad_norm: the norm of the gradient before clipping.
        is_finite: whether losses and gradient are finite.
        learning_rate: after the step.
    """

    indices: np.ndarray
    losses: dict[str, float]
    grad_norm: float
    is_finite: bool
    learning_rate: float


class StepLog:
    """Losses, gradient norms and the finiteness of the latest steps.

    :meth:`write` touches only the device, so that a CUDA graph can hold it. :meth:`add` follows it
    on the host. :meth:`read` waits for the device, and empties the log.

    Args:
        tasks: the names of all tasks.
        device: where steps are computed.
    """

    def __init__(self, tasks: list[str], device: torch.device) -> None:
        self.tasks = tasks
        self._values = torch.zeros(CAPACITY, len(tasks) + 3, dtype=torch.float64, device=device)
        self._slot = torch.zeros(1, dtype=torch.int64, device=device)
        self._steps: list[tuple[np.ndarray, list[str]]] = []

    def write(
        self,
        losses: dict[str, torch.Tensor],
        grad_norm: torch.Tensor,
        is_finite: torch.Tensor,
        learning_rate: torch.Tensor,
    ) -> None:
        """Store the losses of all tasks and the other numbers of a :class:`StepRecord`."""
        of_tasks = [losses[name].detach() for name in self.tasks]
        values = [*of_tasks, grad_norm, is_finite, learning_rate]
        row = torch.stack([value.to(self._values.dtype) for value in values])
        self._values.index_copy_(0, self._slot, row[None])
        self._slot.add_(1)

    def add(self, indices: np.ndarray, present: dict[str, bool]) -> StepResult:
        """Count the step that was written.

        Args:
            indices: its rows.
            present: for each task whether it has a label in the step.
        """
        row = self._values[len(self._steps)]
        names = [name for name in self.tasks if present[name]]
        self._steps.append((indices, names))
        losses = {name: row[self.tasks.index(name)] for name in names}
        return StepResult(losses, grad_norm=row[-3], is_finite=row[-2])

    @property
    def is_full(self) -> bool:
        """Whether the log must be read before the next step."""
        return len(self._steps) == CAPACITY

    def read(self) -> list[StepRecord]:
        """The steps since the last call, in order; the host waits for the device."""
        rows = self._values[: len(self._steps)].tolist()
        records = []
        for (indices, names), row in zip(self._steps, rows, strict=True):
            losses = {name: row[self.tasks.index(name)] for name in names}
            grad_norm, is_finite, rate = row[len(self.tasks) :]
            records.append(StepRecord(indices, losses, grad_norm, bool(is_finite), rate))
        self._steps = []
        self._slot.zero_()
        return records
