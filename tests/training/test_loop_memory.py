"""A step that runs out of memory is repeated in smaller micro-batches, as if nothing had happened.

There is no GPU here: a stand-in raises torch's error after a forward pass that is too large.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from auxfold.config.experiment import to_toml
from auxfold.errors import InputError
from auxfold.storage.run_folder import FoldFolder, RunFolder
from auxfold.training.fold import train_fold
from auxfold.training.loop import StepTrainer
from auxfold.training.split import create_folds
from conftest import (
    load_tensors,
    make_experiment,
    make_stepper,
    run_in_two_processes,
    train_until_second_epoch,
)

STILL = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "head_dropout": 0.0, "max_length": 24}
ROWS = np.arange(20)
Forward = Callable[..., dict[str, torch.Tensor]]


def count_tokens(stepper: StepTrainer, indices: np.ndarray) -> int:
    """The tokens of a micro-batch with its padding."""
    lengths = stepper.dataset.lengths()[indices]
    return int(len(lengths) * lengths.max())


def fail_above(stepper: StepTrainer, max_tokens: int) -> list[int]:
    """Let passes over more tokens fail; the list gets the tokens of every pass that did not."""
    forward, sizes = stepper.forward, []

    def limited(step_loss: Any, indices: np.ndarray) -> dict[str, torch.Tensor]:
        losses = forward(step_loss, indices)  # draws the dropout masks first
        n_tokens = count_tokens(stepper, indices)
        if n_tokens > max_tokens:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        sizes.append(n_tokens)
        return losses

    stepper.forward = limited  # type: ignore[method-assign]
    return sizes


def fail_in_pass(stepper: StepTrainer, number: int) -> None:
    """Let one pass fail, counted from 1."""
    forward, n_passes = stepper.forward, 0

    def limited(step_loss: Any, indices: np.ndarray) -> dict[str, torch.Tensor]:
        nonlocal n_passes
        n_passes += 1
        losses = forward(step_loss, indices)
        if n_passes == number:
            raise torch.OutOfMemoryError
        return losses

    stepper.forward = limited  # type: ignore[method-assign]


def gradients_of(stepper: StepTrainer, indices: np.ndarray = ROWS) -> dict[str, torch.Tensor]:
    """The gradient of a step, which is taken."""
    gradients: dict[str, torch.Tensor] = {}
    clip = stepper.clip_gradients

    def watch() -> torch.Tensor:
        for name, parameter in stepper.unwrapped_model.named_parameters():
            if parameter.grad is not None:
                gradients[name] = parameter.grad.clone()
        return clip()

    stepper.clip_gradients = watch  # type: ignore[method-assign]
    stepper.train_step(indices)
    stepper.clip_gradients = clip  # type: ignore[method-assign]
    return gradients


@pytest.mark.parametrize("disturb", [lambda s: fail_above(s, 120), lambda s: fail_in_pass(s, 2)],
                         ids=["too large", "in the second micro-batch"])  # fmt: skip
def test_the_gradient_of_the_undisturbed_step(work_dir, backbone, disturb):
    options = {"model": STILL, "train": {"max_tokens_per_batch": 240}}
    plain, disturbed = make_stepper(backbone, **options), make_stepper(backbone, **options)
    disturb(disturbed)
    expected, gradients = gradients_of(plain), gradients_of(disturbed)
    assert gradients.keys() == expected.keys() and len(expected) > 20
    for name, values in expected.items():
        torch.testing.assert_close(gradients[name], values, rtol=1e-5, atol=1e-7, msg=name)
    (step,), (expected_step,) = disturbed.log.read(), plain.log.read()
    assert step.losses == pytest.approx(expected_step.losses, rel=1e-6)
    assert step.grad_norm == pytest.approx(expected_step.grad_norm, rel=1e-6)
    assert step.learning_rate == expected_step.learning_rate and step.is_finite
    summary, expected_summary = (s.weighting.pop_eval_summary() for s in (disturbed, plain))
    assert set(summary) == {"weight", "gradient_norm", "cosine"}
    for quantity, values in expected_summary.items():
        assert summary[quantity] == pytest.approx(values, rel=1e-4), quantity


@pytest.mark.parametrize(
    "options",
    [{}, {"task_weighting": {"method": "famo"}}, {"task_weighting": {"method": "uncertainty"}}],
    ids=["fixed", "famo", "uncertainty"],
)
def test_with_dropout_the_bits_of_a_training_that_started_with_small_ones(
    work_dir, backbone, options
):
    """The random state is that of before the step, whatever the failed passes have drawn."""
    disturbed = make_stepper(backbone, train={"max_tokens_per_batch": 480}, **options)
    sizes = fail_above(disturbed, 240)
    torch.manual_seed(7)
    disturbed.train_step(ROWS)
    max_tokens = disturbed.splitter.max_tokens
    disturbed.train_step(np.arange(20, 40))
    assert max_tokens == disturbed.splitter.max_tokens <= 240 and len(sizes) >= 4
    after = torch.rand(3)
    plain = make_stepper(backbone, train={"max_tokens_per_batch": max_tokens}, **options)
    torch.manual_seed(7)
    plain.train_step(ROWS)
    plain.train_step(np.arange(20, 40))
    assert torch.equal(torch.rand(3), after)
    expected = plain.model.state_dict()
    for name, values in disturbed.model.state_dict().items():
        assert torch.equal(values, expected[name]), name


def test_the_loss_that_needs_means_counts_them_once(work_dir, backbone):
    """The single micro-batch took the means from its own logits before it failed."""
    tasks = [{"name": "main", "kind": "binary", "columns": ["toxic"], "main": True,
              "loss": "metric_shaped"},
             {"name": "aux", "kind": "binary", "columns": ["insult"]}]  # fmt: skip
    options = {"model": STILL, "tasks": tasks, "identities": {"columns": ["threat"]}}
    plain, disturbed = make_stepper(backbone, **options), make_stepper(backbone, **options)
    fail_above(disturbed, 200)
    expected, gradients = gradients_of(plain), gradients_of(disturbed)
    for name, values in expected.items():
        torch.testing.assert_close(gradients[name], values, rtol=1e-5, atol=1e-7, msg=name)


def test_a_row_that_does_not_fit_ends_in_one_line(work_dir, backbone):
    stepper = make_stepper(backbone)
    fail_above(stepper, 10)
    before = {name: values.clone() for name, values in stepper.model.state_dict().items()}
    with pytest.raises(InputError, match="micro-batch of a single row of 24 tokens; lower model"):
        stepper.train_step(ROWS)
    for name, values in stepper.model.state_dict().items():
        assert torch.equal(values, before[name]), name


def test_no_memory_for_the_optimizer_ends_in_one_line(work_dir, backbone, monkeypatch):
    stepper = make_stepper(backbone)

    def fail(*args: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr("auxfold.training.loop.guarded_step", fail)
    with pytest.raises(InputError, match="too little memory for the moments of the optimizer"):
        stepper.train_step(ROWS)


def test_other_errors_are_raised(work_dir, backbone, monkeypatch):
    stepper = make_stepper(backbone)

    def fail(*args: object) -> None:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(stepper, "forward", fail)
    with pytest.raises(RuntimeError, match="shapes differ"):
        stepper.train_step(ROWS)


def test_it_is_said_once_and_remembered_across_resume(work_dir, backbone, monkeypatch, capsys):
    """Resumed, the training has the very weights of the one that was not interrupted."""
    experiment = make_experiment("train.csv", backbone, train={"epochs": 2, "batch_size": 20})
    create_folds(experiment)
    forward = StepTrainer.forward
    is_limited = True

    def limited(self: StepTrainer, step_loss: Any, indices: np.ndarray) -> Any:
        losses = forward(self, step_loss, indices)
        if is_limited and count_tokens(self, indices) > 240:
            raise torch.OutOfMemoryError
        return losses

    monkeypatch.setattr(StepTrainer, "forward", limited)
    folder = train_fold(experiment, 0)
    shown = [line for line in capsys.readouterr().out.splitlines() if "out of memory" in line]
    *_, computation = json.loads(folder.run.read_text())["computations"]
    assert len(shown) == 1 and f"at most {computation['max_tokens_per_batch']} tokens" in shown[0]
    weights = load_tensors(folder.path)

    train_until_second_epoch(experiment, overwrite=True)
    is_limited = False  # whatever else was on the GPU is gone
    random.seed(1)
    resumed: FoldFolder = train_fold(experiment, 0, resume=True)
    for name, values in load_tensors(resumed.path).items():
        assert torch.equal(values, weights[name]), name


IN_TWO_PROCESSES = """
import torch
from auxfold.cli.main import main
from auxfold.training.loop import StepTrainer

forward, n_passes = StepTrainer.forward, 0

def fail(self, *args):
    global n_passes
    n_passes += 1
    losses = forward(self, *args)
    if n_passes == 3 and self.accelerator.process_index == 1:
        raise torch.OutOfMemoryError
    return losses

StepTrainer.forward = fail
main("train")
"""


def test_with_two_processes_both_stop(work_dir, backbone):
    """The other one waits for the gradient of the one that failed, and must not wait forever."""
    experiment = make_experiment("train.csv", backbone, train={"epochs": 1})
    create_folds(experiment)
    Path("e.toml").write_text(to_toml(experiment))
    Path("limited.py").write_text(IN_TWO_PROCESSES)
    command = [sys.executable, "limited.py", "--config", "e.toml", "--fold", "0"]
    processes = run_in_two_processes(command)
    assert all(process.returncode != 0 for process in processes)
    errors = [line for process in processes for line in process.stderr.splitlines()]
    lines = [line for line in errors if line.startswith("error: ")]
    assert len(lines) == 1 and "process 1 of 2 ran out of GPU memory, and all stop" in lines[0]
    folder = RunFolder.of(experiment).fold(0)
    assert folder.working.is_dir() and not folder.path.exists()
