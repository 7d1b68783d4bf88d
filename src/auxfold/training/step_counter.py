"""Read what optimizer steps gave, about once a second, count it and show it."""

from __future__ import annotations

import time

import numpy as np

from auxfold.errors import InputError, list_first
from auxfold.training.checkpoint import Progress
from auxfold.training.fold_log import FoldLog
from auxfold.training.step_log import StepRecord
from auxfold.training.step_runner import StepRunner

SECONDS = 1.0  # between two reads, for which a GPU has to wait
MAX_SKIPPED = 5  # steps in a row that are not finite
MAX_OVERFLOWS = 20  # in a row: the scale of fp16 is halved each time, from 65,536 to below 0.1
N_MESSAGES = 10  # skipped steps that are described one by one
N_IDS = 5  # rows of a skipped step that are named


class StepCounter:
    """Counts the steps of one fold's training.

    Args:
        runner: makes the steps.
        progress: what is counted.
        log: where it is shown.
        ids: the id of every row of the table.
    """

    def __init__(
        self, runner: StepRunner, progress: Progress, log: FoldLog, ids: np.ndarray
    ) -> None:
        self.runner, self.stepper = runner, runner.stepper
        self.progress, self.log, self.ids = progress, log, ids
        self._waits = self.stepper.accelerator.device.type == "cuda"
        self._clock = self._read_at = time.perf_counter()

    @property
    def is_due(self) -> bool:
        """Whether it is time to read; without a GPU, to which a read costs something, always."""
        elapsed = time.perf_counter() - self._read_at
        return not self._waits or elapsed > SECONDS or self.stepper.log.is_full

    def read(self) -> None:
        """Count and show the steps since the last call.

        Raises:
            InputError: the latest steps were not finite, and it is no use to go on.
        """
        records = self.stepper.log.read()
        for notice in self.runner.pop_notices():
            self.log.display.say(notice)
        now = time.perf_counter()
        n_rows = max(sum(len(record.indices) for record in records), 1)
        for record in records:
            self.progress.seconds += (now - self._clock) * len(record.indices) / n_rows
            self._count(record)
            self.log.step(self.progress)
        self._clock = self._read_at = now

    def restart_clock(self) -> None:
        """Count the time from now on, and not that of an evaluation."""
        self._clock = time.perf_counter()

    def _count(self, record: StepRecord) -> None:
        self.stepper.weighting.read_step()
        self.progress.learning_rate = record.learning_rate
        if record.is_finite:
            self.progress.add_step(record.losses, record.grad_norm, len(record.indices))
            return
        total = sum(record.losses.values())
        reason = f"the gradient's norm is {record.grad_norm}"
        if not np.isfinite(total):
            reason = f"the loss is {total}"
        # With fp16 a gradient overflows now and then: the scaler skips the step and scales down.
        is_overflow = bool(np.isfinite(total)) and self.stepper.accelerator.scaler is not None
        self.progress.skip_step(len(record.indices), is_overflow)
        self._stop_or_say(record, reason, is_overflow)

    def _stop_or_say(self, record: StepRecord, reason: str, is_overflow: bool) -> None:
        """Stop where it is no use to go on; otherwise say that a step was not taken."""
        progress = self.progress
        where = f"epoch {progress.epoch + 1}, step {progress.step_in_epoch}"
        in_a_row, limit = progress.skipped_in_a_row, MAX_SKIPPED
        if is_overflow:
            in_a_row, limit = progress.overflows_in_a_row, MAX_OVERFLOWS
        if in_a_row >= limit:
            raise InputError(
                f"{reason} in {limit} steps in a row, the last of them {where}; lower "
                f"train.learning_rate or set train.precision = 'fp32' (the last saved state is "
                f"kept)"
            )
        if not is_overflow and progress.skipped_steps <= N_MESSAGES:
            self.log.display.say(f"{where} was not taken: {reason} ({self._name_rows(record)})")

    def _name_rows(self, record: StepRecord) -> str:
        ids = [self.ids[index] for index in record.indices]
        return f"rows {list_first(ids, N_IDS, repr)}"
