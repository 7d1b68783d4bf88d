"""Steps that were not taken are counted and said; a row of them ends the training."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from auxfold.errors import InputError
from auxfold.training.checkpoint import Progress
from auxfold.training.step_counter import StepCounter
from auxfold.training.step_log import StepRecord

INF = float("inf")


def count_steps(
    steps: list[tuple[float, float]], has_scaler: bool
) -> tuple[Progress, list[str], Exception | None]:
    """Count steps with these losses and norms: the progress, what was said, and the refusal."""
    lines: list[str] = []
    records = [
        StepRecord(np.arange(8), {"main": loss}, norm, bool(np.isfinite([loss, norm]).all()), 0.1)
        for loss, norm in steps
    ]
    stepper = SimpleNamespace(
        accelerator=SimpleNamespace(
            device=torch.device("cpu"), scaler=object() if has_scaler else None
        ),
        log=SimpleNamespace(read=lambda: records),
        weighting=SimpleNamespace(read_step=lambda: None),
    )
    runner = SimpleNamespace(stepper=stepper, pop_notices=list)
    log = SimpleNamespace(display=SimpleNamespace(say=lines.append), step=lambda progress: None)
    progress = Progress()
    counter = StepCounter(
        runner, progress, log, np.array([f"r{n}" for n in range(8)], dtype=object)
    )
    try:
        counter.read()
    except InputError as error:
        return progress, lines, error
    return progress, lines, None


@pytest.mark.parametrize("has_scaler", [False, True])
def test_five_losses_in_a_row_end_the_training(has_scaler):
    bad, good = (INF, 1.0), (0.5, 1.0)
    progress, lines, error = count_steps([bad] * 4 + [good] + [bad] * 4, has_scaler)
    assert error is None and progress.skipped_steps == 8 and progress.window_steps == 1
    assert progress.pop_window() == {"train_loss": {"main": 0.5}, "gradient_norm": 1.0}
    assert lines[0].startswith("epoch 1, step 1 was not taken: the loss is inf (rows 'r0', 'r1'")
    _, _, error = count_steps([bad] * 5, has_scaler)
    assert "the loss is inf in 5 steps in a row, the last of them epoch 1, step 5" in str(error)


def test_gradients_that_overflow_are_expected_in_fp16_alone():
    bad, good = (0.5, INF), (0.5, 1.0)
    progress, lines, error = count_steps([bad] * 19 + [good] + [bad] * 19, has_scaler=True)
    assert error is None and not lines and progress.skipped_steps == 38
    assert progress.pop_window() == {"train_loss": {"main": 0.5}, "gradient_norm": 1.0}
    _, _, error = count_steps([bad] * 20, has_scaler=True)
    assert "the gradient's norm is inf in 20 steps in a row" in str(error)
    _, lines, error = count_steps([bad] * 5, has_scaler=False)
    assert "the gradient's norm is inf in 5 steps in a row" in str(error) and len(lines) == 4


def test_overflows_between_losses_that_are_not_finite_do_not_hide_them():
    _, _, error = count_steps([(INF, 1.0), (0.5, INF)] * 5, has_scaler=True)
    assert "the loss is inf in 5 steps in a row" in str(error)
