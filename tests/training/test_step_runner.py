"""Steps of a fixed size, captured and replayed, are the steps of the loop.

A stand-in takes the place of CUDA graphs: it calls the captured function again.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from auxfold.data.loading import read_training_table
from auxfold.tasks import TaskSet
from auxfold.training.build import FoldParts, build_fold
from auxfold.training.loop import StepTrainer
from auxfold.training.step_graphs import EAGER_STEPS, StepGraphs
from auxfold.training.step_runner import StepRunner
from conftest import make_experiment

STILL = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "head_dropout": 0.0}


class StandIn:
    """Captures nothing, and calls the function whenever the graph would be replayed."""

    def __init__(self) -> None:
        self.captured, self.n_replays = 0, 0

    def __call__(self, function: Callable[[], None]) -> Callable[[], None]:
        self.captured += 1

        def replay() -> None:
            self.n_replays += 1
            function()

        return replay


def make_parts(backbone: str, **changes) -> FoldParts:
    AcceleratorState._reset_state()
    changes["model"] = {**STILL, "max_length": 32, **changes.get("model", {})}
    changes["train"] = {"precision": "fp32", "batch_size": 8, **changes.get("train", {})}
    experiment = make_experiment("train.csv", backbone, **changes)
    table, tasks = read_training_table(experiment), TaskSet.from_experiment(experiment)
    accelerator = Accelerator(cpu=True)
    parts = build_fold(experiment, tasks, table, np.arange(len(table)), accelerator, seed=0)
    parts.model.train()
    return parts


def make_runner(parts: FoldParts, capture: Callable | None = None) -> tuple[StepRunner, StandIn]:
    stand_in = StandIn()
    encoder = parts.model.fast_encoder()
    assert encoder is not None
    return StepRunner(parts.stepper, encoder, capture or stand_in), stand_in


def train_both(backbone: str, n_steps: int = 9, **changes) -> tuple[FoldParts, FoldParts, StandIn]:
    """The same steps, one by one in the loop and by a runner."""
    plain, fast = make_parts(backbone, **changes), make_parts(backbone, **changes)
    runner, stand_in = make_runner(fast)
    steps = fast.epochs.steps(0)[:n_steps]
    runner.start_epoch(steps, fast.epochs.swapped(0), fast.epochs.windows(0))
    plain.stepper.swapped = fast.stepper.swapped
    plain.stepper.windows = fast.stepper.windows
    for indices in steps:
        plain.stepper.train_step(indices)
        runner.train_step(indices)
    runner.close()
    return plain, fast, stand_in


def assert_equal_weights(plain: FoldParts, fast: FoldParts) -> None:
    expected = plain.model.state_dict()
    expected.pop("pool.score.bias", None)  # its gradient is rounding: a softmax does not see it
    weights = fast.model.state_dict()
    for name, values in expected.items():
        torch.testing.assert_close(weights[name], values, rtol=1e-4, atol=2e-6, msg=name)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"model": {"pooling": "cls"}},
        {"model": {"pooling": "attention"}},
        {"train": {"max_grad_norm": 0.05, "weight_decay": 0.1}},
        {"model": {"max_length": 12, "truncation": "windows"}},
    ],
    ids=["mean", "cls", "attention", "clipped", "windows"],
)
def test_the_weights_of_the_loop(work_dir, backbone, changes):
    plain, fast, stand_in = train_both(backbone, **changes)
    assert stand_in.n_replays >= 9 - 2 * EAGER_STEPS and stand_in.captured <= stand_in.n_replays
    assert_equal_weights(plain, fast)
    records, expected = fast.stepper.log.read(), plain.stepper.log.read()
    assert [r.indices.tolist() for r in records] == [r.indices.tolist() for r in expected]
    for ours, theirs in zip(records, expected, strict=True):
        assert ours.losses == pytest.approx(theirs.losses, rel=1e-4)
        assert ours.grad_norm == pytest.approx(theirs.grad_norm, rel=1e-3)
        assert ours.learning_rate == theirs.learning_rate and ours.is_finite
    assert fast.stepper.schedule.get_last_lr() == plain.stepper.schedule.get_last_lr()


def test_what_is_measured_of_the_tasks_gradients(work_dir, backbone):
    plain, fast, _ = train_both(backbone, task_weighting={"log_every": 2})
    expected = plain.stepper.weighting.pop_eval_summary()
    summary = fast.stepper.weighting.pop_eval_summary()
    assert set(summary) == set(expected) >= {"weight", "gradient_norm", "cosine"}
    for quantity, values in expected.items():
        assert summary[quantity] == pytest.approx(values, rel=1e-3, abs=1e-5), quantity


def test_a_step_that_is_not_finite_changes_nothing(work_dir, backbone):
    parts = make_parts(backbone)
    runner, stand_in = make_runner(parts)
    steps = parts.epochs.steps(0)
    for indices in steps[:7]:
        runner.train_step(indices)
    before = {name: values.clone() for name, values in parts.model.state_dict().items()}
    rates, n_replays = parts.stepper.schedule.get_last_lr(), stand_in.n_replays
    cells = parts.stepper.objective.cells["main"]
    cells.sample_weights.mul_(float("nan"))
    runner.train_step(steps[7])
    assert stand_in.n_replays == n_replays + 1
    assert [r.is_finite for r in parts.stepper.log.read()] == [True] * 7 + [False]
    assert parts.stepper.schedule.get_last_lr() == rates
    for name, values in parts.model.state_dict().items():
        assert torch.equal(values, before[name]), name


def test_several_micro_batches_run_in_the_loop(work_dir, backbone):
    plain, fast, stand_in = train_both(backbone, train={"max_tokens_per_batch": 40})
    assert stand_in.captured == 0
    assert_equal_weights(plain, fast)


def test_a_step_that_cannot_be_captured_is_run_and_said(work_dir, backbone):
    def fail(function: Callable[[], None]) -> Callable[[], None]:
        raise RuntimeError("operation not permitted\nwhen stream is capturing")

    plain, fast = make_parts(backbone), make_parts(backbone)
    runner, _ = make_runner(fast, fail)
    steps = fast.epochs.steps(0)[:9]
    runner.start_epoch(steps, None)
    for indices in steps:
        plain.stepper.train_step(indices)
        runner.train_step(indices)
    assert runner.graphs is None
    (notice,) = runner.notices
    assert "cannot be captured (RuntimeError: operation not permitted)" in notice
    assert_equal_weights(plain, fast)


@pytest.mark.parametrize("method", ["uncertainty", "dwa"])
def test_weights_that_adapt_run_in_the_loop(work_dir, backbone, method):
    plain, fast, stand_in = train_both(backbone, task_weighting={"method": method})
    assert stand_in.captured == 0
    assert_equal_weights(plain, fast)


def test_the_optimizer_divides_the_gradient_instead_of_clipping_it_first(
    work_dir, backbone, monkeypatch
):
    clipped = {"train": {"max_grad_norm": 0.05}}
    plain = make_parts(backbone, **clipped)
    steps = plain.epochs.steps(0)
    for indices in steps:
        plain.stepper.train_step(indices)
    monkeypatch.setattr(StepTrainer, "clips_in_step", True)
    fast = make_parts(backbone, **clipped)
    for indices in steps:
        fast.stepper.train_step(indices)
    assert_equal_weights(plain, fast)
    norms = [record.grad_norm for record in plain.stepper.log.read()]
    assert norms == pytest.approx([record.grad_norm for record in fast.stepper.log.read()], 1e-5)
    assert min(norms) > 0.05, "every step is clipped"


@pytest.mark.parametrize("moment", ["operation by operation", "in the capture", "in the buffers"])
def test_a_step_that_runs_out_of_memory_is_repeated_in_the_loop(
    work_dir, backbone, monkeypatch, moment
):
    """Smaller steps are captured as before; those that were prepared ahead are cut, too."""
    plain, fast = make_parts(backbone), make_parts(backbone)
    n_captures, failures = 0, []

    class Capture(StandIn):
        def __call__(self, function: Callable[[], None]) -> Callable[[], None]:
            nonlocal n_captures
            n_captures += 1
            if moment == "in the capture" and n_captures == 2:
                failures.append(n_captures)
                try:
                    raise torch.OutOfMemoryError
                finally:
                    raise RuntimeError("operation failed due to a previous error during capture")
            return super().__call__(function)

    stand_in = Capture()
    runner, _ = make_runner(fast, stand_in)
    fast.stepper.splitter.padding_free = True
    if moment == "operation by operation":
        fail_once(fast, failures)
    if moment == "in the buffers":
        fill = StepGraphs._fill_buffers

        def fail(self, capacity, tensors):
            if not failures:
                failures.append(capacity)
                raise torch.OutOfMemoryError
            return fill(self, capacity, tensors)

        monkeypatch.setattr(StepGraphs, "_fill_buffers", fail)
    steps = fast.epochs.steps(0) + fast.epochs.steps(1)
    runner.start_epoch(steps, None)
    for indices in steps:
        plain.stepper.train_step(indices)
        runner.train_step(indices)
    runner.close()
    assert failures and runner.graphs is not None and stand_in.n_replays > 0
    (notice,) = runner.pop_notices()
    assert "ran out of memory: this step is repeated" in notice and runner.pop_notices() == []
    limit = fast.stepper.splitter.max_tokens
    assert f"at most {limit} tokens" in notice and limit < 8192
    assert_equal_weights(plain, fast)
    records, expected = fast.stepper.log.read(), plain.stepper.log.read()
    for ours, theirs in zip(records, expected, strict=True):
        assert ours.indices.tolist() == theirs.indices.tolist()
        assert ours.losses == pytest.approx(theirs.losses, rel=1e-4)
        assert ours.learning_rate == theirs.learning_rate


def fail_once(parts: FoldParts, failures: list) -> None:
    """Let the backward pass of the first step fail, when the gradients are there."""
    backward = parts.stepper.accelerator.backward

    def fail(loss: torch.Tensor) -> None:
        backward(loss)
        if not failures:
            failures.append(loss)
            raise torch.OutOfMemoryError

    parts.stepper.accelerator.backward = fail  # type: ignore[method-assign]
