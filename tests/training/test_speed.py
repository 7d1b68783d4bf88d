"""The speed of steps and predictions, measured with a clock that only the work moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from auxfold.training import speed
from auxfold.training.evaluator import FoldEvaluator
from auxfold.training.speed import measure_prediction, measure_steps, time_steps
from conftest import make_experiment


class Clock:
    """Shows the seconds that :meth:`work` was called with."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def work(self, seconds: float) -> None:
        self.seconds += seconds


def time_with(
    tokens: list[int], cost: Callable[[int], float]
) -> tuple[speed.StepSpeed, list[list[int]]]:
    """Time steps that cost so many seconds each; also the tokens of the steps of every call."""
    clock, calls = Clock(), []

    def run(numbers: Sequence[int]) -> None:
        calls.append([tokens[number] for number in numbers])
        for number in numbers:
            clock.work(cost(tokens[number]))

    n_rows = np.full(len(tokens), 8)
    return time_steps(run, np.array(tokens), n_rows, 0, clock), calls


def test_as_many_steps_of_every_length_as_fit_are_timed():
    tokens = np.random.default_rng(0).permutation(np.arange(1, 101)).tolist()
    # The median one takes 5.1 s, so one of average length takes 5.05 s: three fit into 20 s.
    result, calls = time_with(tokens, lambda n: n / 10)
    assert calls[:2] == [[100], [51]]
    assert sorted(calls[2]) == [13, 38, 63, 88], "the middle ones of four quarters"
    assert len(calls) == 3
    assert result.n_steps == 4
    assert result.seconds_per_row == pytest.approx(5.05 / 8)
    assert result.warm_up_seconds == 0


def test_a_cost_that_is_not_proportional_to_the_tokens_is_met():
    random = np.random.default_rng(0)
    tokens = random.lognormal(6, 0.8, 300).astype(int).tolist()

    def cost(n: int) -> float:
        return 0.5 + 0.002 * n + 1e-6 * n**2

    result, calls = time_with(tokens, cost)
    mean = np.mean([cost(n) for n in tokens])
    assert 4 < result.n_steps < 40
    assert result.seconds_per_row * 8 == pytest.approx(mean, rel=0.06)
    assert cost(max(tokens)) > 5 * mean, "far from the longest step, which is not counted"
    assert sum(map(cost, calls[2])) == pytest.approx(speed.STEP_SECONDS, rel=0.5)


def test_all_steps_are_timed_where_they_are_few_and_the_first_one_is_not():
    first = [100.0]  # seconds that setting up the libraries takes, once
    result, calls = time_with([7, 5, 6], lambda n: n / 100 + (first.pop() if first else 0))
    assert calls[:2] == [[7], [6]]
    assert sorted(calls[2]) == [5, 6, 7]
    assert result.seconds_per_row == pytest.approx(0.06 / 8)


def test_the_first_pass_of_a_gpu_is_its_warm_up():
    clock, captured, calls = Clock(), set(), []

    def run(numbers: Sequence[int]) -> None:
        calls.append(numbers)
        for number in numbers:
            clock.work(0.01 if number in captured else 2.01)
            captured.add(number)
        if len(calls) == 5:  # a disturbed pass, which is not the median
            clock.work(9.0)

    result = time_steps(run, np.arange(1, 6), np.full(5, 8), n_passes=3, clock=clock)
    assert len(calls) == 2 + 1 + 3
    assert result.seconds_per_row == pytest.approx(0.01 / 8)
    assert result.warm_up_seconds == pytest.approx(3 * 2.0), "two were captured before"


class TimedEvaluator(FoldEvaluator):
    """Predicts nothing, a hundredth of a second per token."""

    def predict(self, model):
        model.work(0.01 * self.dataset.lengths()[self.indices].sum())
        return {}


def test_predictions_are_timed_on_a_part_of_the_rows_and_scaled_by_their_tokens():
    clock, lengths = Clock(), np.arange(1, 1001)
    n_windows = np.where(lengths > 240, 3, 1)
    dataset = SimpleNamespace(lengths=lambda: lengths, n_windows=lambda: n_windows)
    evaluator = TimedEvaluator(None, None, None, np.arange(1000), dataset, "fp32")
    device = SimpleNamespace(device=torch.device("cpu"))
    parts = SimpleNamespace(model=clock, stepper=SimpleNamespace(accelerator=device))
    per_row = measure_prediction(parts, evaluator, seconds_per_row=0.1, clock=clock)
    # 8 s fit 240 rows that take a third of 0.1 s. They are shorter, and one window each.
    assert clock.seconds == pytest.approx(0.01 * 240 * 241 / 2)
    assert per_row == pytest.approx(0.01 * (lengths * n_windows).mean())


def test_steps_run_as_in_a_training(work_dir, backbone, monkeypatch):
    monkeypatch.setattr(speed, "STEP_SECONDS", 0.0)
    parts = build_parts(make_experiment("train.csv", backbone))
    clock = Clock()
    original = type(parts.runner).train_step

    def train_step(self, indices):
        clock.work(len(indices))
        return original(self, indices)

    monkeypatch.setattr(type(parts.runner), "train_step", train_step)
    before = parts.model.heads["main"].weight.clone()
    result = measure_steps(parts, ema=0.9, clock=clock)
    assert result.n_steps == speed.MIN_STEPS
    assert not torch.equal(parts.model.heads["main"].weight, before)
    assert parts.stepper.log.read() == [], "the log is read, else it would be full at some time"


def build_parts(experiment):
    from auxfold.tasks import TaskSet
    from auxfold.training.build import build_fold, start_accelerator
    from auxfold.training.split import load_training_table

    tasks = TaskSet.from_experiment(experiment)
    table = load_training_table(experiment, tasks)
    accelerator = start_accelerator(experiment)
    return build_fold(experiment, tasks, table, np.arange(len(table)), accelerator, seed=0)
