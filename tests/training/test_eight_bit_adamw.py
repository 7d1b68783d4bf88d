"""AdamW with moments of 8 bits: its steps, bad steps, and its state."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from auxfold.config import Train
from auxfold.errors import InputError
from auxfold.training.checkpoint import Progress, load_state, save_state
from auxfold.training.eight_bit_adamw import MIN_8BIT_SIZE, make_8bit_adamw
from auxfold.training.optimizer import guarded_step, is_fused, make_optimizer
from conftest import make_stepper

OPTIMIZERS = ("adamw_8bit", "paged_adamw_8bit")
SETTINGS = {"learning_rate": 0.01, "weight_decay": 0.1}


def make_layer() -> torch.nn.Linear:
    """One weight with moments of 8 bits, and a bias that is too small for them."""
    torch.manual_seed(0)
    return torch.nn.Linear(64, MIN_8BIT_SIZE // 64)


def take_step(layer: torch.nn.Module, optimizer, seed: int, is_finite: bool = True) -> None:
    torch.manual_seed(seed)
    for parameter in layer.parameters():
        parameter.grad = torch.randn_like(parameter)
        if not is_finite:
            parameter.grad.view(-1)[0] = float("nan")
    guarded_step(optimizer, torch.tensor(is_finite))


def prepare(layer: torch.nn.Module, optimizer: str):
    settings = Train(optimizer=optimizer, **SETTINGS)
    return Accelerator(cpu=True).prepare_optimizer(make_optimizer(layer, settings))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_near_those_of_fp32(name):
    ours, reference = make_layer(), make_layer()
    start = ours.weight.detach().clone()
    optimizers = prepare(ours, name), prepare(reference, "adamw")
    assert [is_fused(optimizer) for optimizer in optimizers] == [False, True]
    for seed in range(10):
        for layer, optimizer in zip((ours, reference), optimizers, strict=True):
            take_step(layer, optimizer, seed)
    state = optimizers[0].optimizer.state
    assert state[ours.weight]["state1"].dtype == state[ours.weight]["state2"].dtype == torch.uint8
    assert state[ours.bias]["state1"].dtype == torch.float32
    torch.testing.assert_close(ours.bias, reference.bias, atol=1e-5, rtol=0)
    distance = (ours.weight - reference.weight).abs().mean()
    assert 0 < distance < 0.1 * (reference.weight - start).abs().mean()


def test_the_rate_and_the_decay_of_each_group_hold():
    layer = make_layer()
    optimizer = prepare(layer, "adamw_8bit")
    decayed, other = sorted(optimizer.param_groups, key=lambda group: -group["weight_decay"])
    decayed["lr"], other["lr"] = rates = torch.tensor([0.0, 0.5])  # as the schedule does
    before = {name: p.detach().clone() for name, p in layer.named_parameters()}
    for parameter in layer.parameters():
        parameter.grad = torch.zeros_like(parameter)
    guarded_step(optimizer, torch.tensor(True))
    moved = {n: p for n, p in layer.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {}  # the bias is not decayed, and the rate of the weight is zero
    assert decayed["lr"].data_ptr() == rates.data_ptr()
    rates[0] = 0.5
    guarded_step(optimizer, torch.tensor(True))
    torch.testing.assert_close(layer.weight, before["weight"] * (1 - 0.5 * 0.1))


def test_the_gradient_is_divided_first():
    ours, reference = make_layer(), make_layer()
    clipped, plain = prepare(ours, "adamw_8bit"), prepare(reference, "adamw_8bit")
    for layer, factor in ((ours, 8.0), (reference, 1.0)):
        torch.manual_seed(1)
        for parameter in layer.parameters():
            parameter.grad = torch.randn_like(parameter) * factor
    guarded_step(clipped, torch.tensor(True), torch.tensor(8.0))
    guarded_step(plain, torch.tensor(True))
    assert torch.equal(ours.weight, reference.weight)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_bad_step_changes_nothing(name):
    layer = make_layer()
    optimizer = prepare(layer, name)
    take_step(layer, optimizer, 0, is_finite=False)
    assert not optimizer.optimizer.state
    take_step(layer, optimizer, 0)
    weight = layer.weight.detach().clone()
    state = {n: torch.as_tensor(v).clone() for n, v in optimizer.state[layer.weight].items()}
    take_step(layer, optimizer, 1, is_finite=False)
    assert torch.equal(layer.weight, weight)
    for key, value in optimizer.state[layer.weight].items():
        assert torch.equal(torch.as_tensor(value), state[key]), key


def test_it_continues_bit_by_bit_from_its_saved_state(tmp_path):
    def train(layer: torch.nn.Linear, optimizer, seeds: range) -> torch.Tensor:
        for seed in seeds:
            take_step(layer, optimizer, seed)
        return layer.weight.detach().clone()

    layer = make_layer()
    optimizer = prepare(layer, "adamw_8bit")
    train(layer, optimizer, range(3))
    parts = {"model": layer, "optimizer": optimizer}
    save_state(tmp_path / "state", Progress(), parts, "s")
    expected = train(layer, optimizer, range(3, 6))
    again = make_layer()
    other = prepare(again, "adamw_8bit")
    load_state(tmp_path / "state", {"model": again, "optimizer": other}, "s")
    assert torch.equal(train(again, other, range(3, 6)), expected)


def test_moments_of_another_shape_are_refused(tmp_path):
    small, large = torch.nn.Linear(64, 64), torch.nn.Linear(64, 128)
    optimizer = prepare(small, "adamw_8bit")
    take_step(small, optimizer, 0)
    save_state(tmp_path / "state", Progress(), {"optimizer": optimizer}, "s")
    with pytest.raises(InputError, match="is not a state of this training .ValueError."):
        load_state(tmp_path / "state", {"optimizer": prepare(large, "adamw_8bit")}, "s")


def test_it_is_checked_before_it_is_made(monkeypatch):
    import bitsandbytes

    def fail(values: torch.Tensor) -> None:
        raise RuntimeError("not compiled")

    monkeypatch.setattr(bitsandbytes.functional, "quantize_blockwise", fail)
    groups = [{"params": list(make_layer().parameters())}]
    with pytest.raises(InputError, match="train.optimizer = 'adamw_8bit': bitsandbytes .* does"):
        make_8bit_adamw(groups, "adamw_8bit", 0.1)


def test_a_whole_step_of_a_fold(work_dir, backbone):
    stepper = make_stepper(backbone, train={"optimizer": "adamw_8bit", "warmup_ratio": 0.0})
    reference = make_stepper(backbone, train={"warmup_ratio": 0.0})
    for trained in (stepper, reference):
        torch.manual_seed(0)
        trained.train_step(np.arange(20))
    for (name, ours), (_, theirs) in zip(
        stepper.model.named_parameters(), reference.model.named_parameters(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0, msg=name)
