"""The learning rate rises and falls with the steps that were taken, as in transformers."""

from __future__ import annotations

import pytest
import torch
from transformers import get_scheduler

from auxfold.config import Train
from auxfold.training.optimizer import make_optimizer
from auxfold.training.schedule import LearningRateSchedule, schedule_factors

TAKEN, SKIPPED = torch.tensor(True), torch.tensor(False)


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_the_rates_of_transformers(name):
    settings = Train(schedule=name, warmup_ratio=0.2, learning_rate=0.3)
    optimizer = make_optimizer(torch.nn.Linear(2, 2), settings)
    reference = get_scheduler(name, make_optimizer(torch.nn.Linear(2, 2), settings), 20, 100)
    schedule = LearningRateSchedule(optimizer, settings, 100)
    rates = []
    for _ in range(100):
        rates.append(schedule.get_last_lr())
        assert rates[-1] == reference.get_last_lr()
        schedule.advance(TAKEN)
        reference.optimizer.step()
        reference.step()
    assert rates[0] == [0.0, 0.0] and rates[10][0] == 0.15 and rates[20][0] == 0.3
    assert rates[60][0] == pytest.approx(0.15)
    assert schedule.get_last_lr()[0] == pytest.approx(0.0, abs=1e-9)
    schedule.advance(TAKEN)
    assert schedule.get_last_lr()[0] == pytest.approx(0.0, abs=1e-9), "one step too many"


@pytest.mark.parametrize("name", ["linear", "cosine"])
@pytest.mark.parametrize("warmup_ratio", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("n_steps", [1, 2, 37])
def test_the_factors_are_bit_for_bit_those_of_transformers(name, warmup_ratio, n_steps):
    optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=1.0)
    reference = get_scheduler(name, optimizer, round(warmup_ratio * n_steps), n_steps)
    factors = schedule_factors(Train(schedule=name, warmup_ratio=warmup_ratio), n_steps)
    assert factors == [reference.lr_lambdas[0](step) for step in range(n_steps + 1)]


def test_the_optimizer_moves_at_the_rate_of_the_schedule():
    """AdamW's first step is as long as its rate, in the direction of the gradient's sign."""
    settings = Train(warmup_ratio=0.5, learning_rate=0.1, weight_decay=0.0)
    layer = torch.nn.Linear(1, 1)
    schedule = LearningRateSchedule(optimizer := make_optimizer(layer, settings), settings, 20)
    for _ in range(3):
        schedule.advance(TAKEN)
    before = layer.weight.detach().clone()
    for parameter in layer.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert float(before - layer.weight.detach()) == pytest.approx(0.03, rel=1e-4)


def test_a_step_that_is_not_taken_does_not_count():
    settings = Train(warmup_ratio=0.5, learning_rate=1.0)
    optimizer = make_optimizer(torch.nn.Linear(2, 2), settings)
    schedule = LearningRateSchedule(optimizer, settings, 8)
    for is_taken, rate in ((TAKEN, 0.25), (SKIPPED, 0.25), (TAKEN, 0.5)):
        schedule.advance(is_taken)
        assert schedule.get_last_lr() == [rate, rate]
        assert [float(group["lr"]) for group in optimizer.param_groups] == [rate, rate]


def test_resumed_where_it_was():
    settings = Train(warmup_ratio=0.5, learning_rate=1.0)
    first = make_optimizer(torch.nn.Linear(2, 2), settings)
    schedule = LearningRateSchedule(first, settings, 8)
    for _ in range(3):
        schedule.advance(TAKEN)
    second = make_optimizer(torch.nn.Linear(2, 2), settings)
    again = LearningRateSchedule(second, settings, 8)
    second.load_state_dict(first.state_dict())
    again.load_state_dict(schedule.state_dict())
    again.advance(TAKEN)
    assert [float(group["lr"]) for group in second.param_groups] == [1.0, 1.0]
    assert [float(group["lr"]) for group in first.param_groups] == [0.75, 0.75]
