"""The time until which a fold may be trained, where a machine stops at a set time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from accelerate import Accelerator

# A GPU works through steps that the host has launched minutes ahead. So close to the end, the host
# waits for every step.
NEAR_SECONDS = 600.0


class TimeUp(Exception):
    """The time for a fold is up. Its state is saved, and ``--resume`` continues it."""


@dataclass
class TimeLimit:
    """Stops a training early enough for the files of its fold to be written in time.

    Attributes:
        deadline: when the files must be written, in seconds since the epoch.
        evaluation_seconds: of the longest evaluation so far; before the first, an estimate.
        save_seconds: of the longest save of the state so far.
        evaluated_at: when the first evaluation was done; None before.
        clock: gives seconds since the epoch.
    """

    deadline: float
    evaluation_seconds: float = 0.0
    save_seconds: float = 0.0
    evaluated_at: float | None = None
    clock: Callable[[], float] = time.time

    @property
    def is_near(self) -> bool:
        """Whether the time is up within minutes."""
        return self.clock() + NEAR_SECONDS > self.deadline

    def is_over(self, n_evaluations: int = 0) -> bool:
        """Whether the files would be late after so many more evaluations.

        The files of a fold take at most as long to write as a saved state.
        """
        seconds = 2 * self.save_seconds + n_evaluations * self.evaluation_seconds
        return self.clock() + seconds > self.deadline

    def is_over_anywhere(self, accelerator: Accelerator, n_evaluations: int = 0) -> bool:
        """:meth:`is_over` in one of the processes: all of them stop at the same step."""
        is_over = self.is_over(n_evaluations)
        if accelerator.num_processes == 1:
            return is_over
        votes = torch.tensor([float(is_over)], device=accelerator.device)
        return bool(accelerator.reduce(votes, reduction="sum").item() > 0)

    def add_evaluation(self, started: float) -> None:
        """Note how long an evaluation took that started at this time of the clock."""
        self.evaluated_at = self.evaluated_at or self.clock()
        self.evaluation_seconds = max(self.evaluation_seconds, self.clock() - started)

    def add_save(self, started: float) -> None:
        """Note how long a save took that started at this time of the clock."""
        self.save_seconds = max(self.save_seconds, self.clock() - started)
