"""A bad step leaves everything that is trained as it was, for every method and with a scaler."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.optimizer import AcceleratedOptimizer

from auxfold.training.loop import StepTrainer
from auxfold.training.optimizer import MovingAverage
from auxfold.training.step_log import StepResult
from auxfold.training.weighting.methods import METHODS
from conftest import make_stepper

INDICES = np.arange(20)
FINITE_GRADIENT = {  # what is added to the losses: their gradient stays finite
    "infinite loss": float("inf"),
    "loss not a number": float("nan"),
}
GRADIENT = {"infinite gradient": float("inf"), "overflowing norm": 1e30, "nan": float("nan")}
FAULTS = [*FINITE_GRADIENT, *GRADIENT]


def make_scaled_stepper(backbone: str, **changes: object) -> StepTrainer:
    """A stepper that scales losses as in fp16, which accelerate itself refuses on a CPU."""
    stepper = make_stepper(backbone, **changes)
    accelerator, scaler = stepper.accelerator, torch.amp.GradScaler("cpu", init_scale=1024.0)
    accelerator.scaler, accelerator.native_amp = scaler, True
    accelerator.state._mixed_precision = "fp16"
    adamw = stepper.optimizer.optimizer
    stepper.optimizer = AcceleratedOptimizer(adamw, device_placement=False, scaler=scaler)
    return stepper


def take_bad_step(stepper: StepTrainer, fault: str) -> StepResult:
    forward, clip = stepper.forward, stepper.clip_gradients

    def bad_forward(*args: Any) -> dict[str, torch.Tensor]:
        return {name: loss + FINITE_GRADIENT[fault] for name, loss in forward(*args).items()}

    def bad_clip() -> torch.Tensor:
        gradient = next(p.grad for p in stepper.model.parameters() if p.grad is not None)
        gradient.view(-1)[0] = GRADIENT[fault]
        return clip()

    if fault in FINITE_GRADIENT:
        stepper.forward = bad_forward
    else:
        stepper.clip_gradients = bad_clip
    result = stepper.train_step(INDICES)
    stepper.forward, stepper.clip_gradients = forward, clip
    return result


def find_tensors(state: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """All numbers of a nested state by name."""
    if isinstance(state, dict | list | tuple):
        items = state.items() if isinstance(state, dict) else enumerate(state)
        for key, value in items:
            yield from find_tensors(value, f"{name}/{key}")
    elif isinstance(state, torch.Tensor | float | int):
        yield name, torch.as_tensor(state).clone()


def copy_trained(stepper: StepTrainer, ema: MovingAverage) -> dict[str, torch.Tensor]:
    parts = (stepper.model, stepper.optimizer, stepper.schedule, ema)
    return dict(find_tensors([part.state_dict() for part in parts]))


def assert_bad_steps_change_nothing(stepper: StepTrainer) -> None:
    """The first step is bad, before there are moments and averages, and then every other one."""
    ema = MovingAverage(stepper.unwrapped_model, 0.9)
    for fault in FAULTS:
        before = copy_trained(stepper, ema)
        result = take_bad_step(stepper, fault)
        ema.update(stepper.unwrapped_model, result.is_finite)
        assert not result.is_finite, fault
        for name, values in copy_trained(stepper, ema).items():
            expected = before.get(name, torch.zeros(()))  # new moments start at zero
            assert torch.equal(values, expected.expand_as(values)), (fault, name)
        result = stepper.train_step(INDICES)
        ema.update(stepper.unwrapped_model, result.is_finite)
        assert result.is_finite and result.grad_norm > 0, fault
        learned = dict(find_tensors(stepper.weighting.state_dict()))
        for name, values in (learned | copy_trained(stepper, ema)).items():
            is_unknown = name.endswith(("/last", "/before", "/first"))  # NaN until it is known
            assert values.isfinite().all() or is_unknown, (fault, name)


@pytest.mark.parametrize("method", METHODS)
def test_a_bad_step_changes_nothing(work_dir, backbone, method):
    assert_bad_steps_change_nothing(make_stepper(backbone, task_weighting={"method": method}))


@pytest.mark.parametrize("make", [make_stepper, make_scaled_stepper])
def test_nor_does_it_with_moments_of_8_bits(work_dir, backbone, make):
    assert_bad_steps_change_nothing(make(backbone, train={"optimizer": "adamw_8bit"}))


@pytest.mark.parametrize("limit", [1.0, 0.0])
def test_nor_does_it_with_a_gradient_scaler(work_dir, backbone, limit):
    """The scaler looks at the gradients before they are clipped, and not at the losses."""
    assert_bad_steps_change_nothing(make_scaled_stepper(backbone, train={"max_grad_norm": limit}))


def test_the_scale_falls_with_an_overflow_and_a_step_is_the_unscaled_one(work_dir, backbone):
    scaled, plain = make_scaled_stepper(backbone), None
    scaled.train_step(INDICES)
    assert scaled.accelerator.scaler.get_scale() == 1024.0
    take_bad_step(scaled, "infinite loss")
    assert scaled.accelerator.scaler.get_scale() == 512.0
    scaled.train_step(INDICES)
    scaled_head = scaled.unwrapped_model.heads["main"].weight.clone()
    plain = make_stepper(backbone)
    plain.train_step(INDICES)
    take_bad_step(plain, "infinite loss")
    plain.train_step(INDICES)
    torch.testing.assert_close(scaled_head, plain.unwrapped_model.heads["main"].weight)
    assert scaled.schedule.get_last_lr() == plain.schedule.get_last_lr()


def test_losses_after_a_step_that_are_not_finite_teach_nothing(work_dir, backbone, monkeypatch):
    """FAMO looks at the losses after the step, which may overflow where those before did not."""
    stepper = make_stepper(backbone, task_weighting={"method": "famo"})
    stepper.train_step(INDICES)
    before = stepper.weighting.method.logits.detach().clone()
    losses = StepTrainer.losses_without_gradient
    with monkeypatch.context() as patch:
        patch.setattr(
            StepTrainer,
            "losses_without_gradient",
            lambda *args: {k: v * float("inf") for k, v in losses(*args).items()},
        )
        stepper.train_step(INDICES)
    assert torch.equal(stepper.weighting.method.logits, before)
    stepper.train_step(INDICES)
    assert not torch.equal(stepper.weighting.method.logits, before)
