"""A fold whose time is up: it stops in time, is usable as it is, and can go on exactly."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from auxfold.config.experiment import to_toml
from auxfold.inference.ensemble import Ensemble
from auxfold.storage.run_folder import RunFolder
from auxfold.training.fold import train_fold
from auxfold.training.fold_trainer import FoldTrainer
from auxfold.training.split import create_folds
from auxfold.training.time_limit import TimeLimit
from conftest import load_history, make_experiment, run_in_two_processes


class StepClock:
    """A clock that goes on by a second with each step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps = 0
        take_step = FoldTrainer.take_step

        def count(trainer: FoldTrainer, indices: object) -> None:
            take_step(trainer, indices)
            self.steps += 1

        monkeypatch.setattr(FoldTrainer, "take_step", count)

    def __call__(self) -> float:
        return float(self.steps)

    def limit(self, deadline: float, **seconds: float):
        """What ``train_fold`` takes as ``time_limit``."""
        return lambda trainer: TimeLimit(deadline, clock=self, **seconds)


def test_the_time_left_has_room_for_evaluations_and_two_saves():
    now = [0.0]
    limit = TimeLimit(100.0, evaluation_seconds=10.0, save_seconds=5.0, clock=lambda: now[0])
    assert limit.is_near and not limit.is_over(9) and limit.is_over(10)
    now[0] = 90.0
    assert not limit.is_over() and limit.is_over(1)
    limit.add_save(84.0)
    assert limit.save_seconds == 6.0 and limit.is_over()
    assert not TimeLimit(1000.0, clock=lambda: 100.0).is_near
    assert limit.evaluated_at is None
    limit.add_evaluation(85.0)
    assert limit.evaluation_seconds == 10.0 and limit.evaluated_at == 90.0
    now[0] = 120.0
    limit.add_evaluation(90.0)
    assert limit.evaluation_seconds == 30.0 and limit.evaluated_at == 90.0


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, torch.Tensor]]:
    """The weights at every evaluation."""
    weights, evaluate = [], FoldTrainer.evaluate_and_select

    def record(trainer: FoldTrainer, *args: object) -> None:
        evaluate(trainer, *args)
        state = trainer.kept_model.state_dict()
        weights.append({name: values.clone() for name, values in state.items()})

    monkeypatch.setattr(FoldTrainer, "evaluate_and_select", record)
    return weights


@pytest.mark.parametrize("keep", ["last", "average"])
def test_a_stopped_fold_has_the_weights_of_its_evaluations_and_goes_on_exactly(
    work_dir, backbone, monkeypatch, evaluated, keep
):
    """30 rows in steps of 8 are four steps an epoch, and an evaluation follows the last of them."""
    selection = {"keep": keep} | ({"checkpoints": 2} if keep == "average" else {})
    experiment = make_experiment("train.csv", backbone, train={"epochs": 3}, selection=selection)
    create_folds(experiment)
    whole = train_fold(experiment, 0)
    expected, history = load_file(whole.path / "model.safetensors"), load_history(whole)
    shutil.rmtree(whole.path)
    evaluated.clear()

    clock = StepClock(monkeypatch)
    folder = train_fold(experiment, 0, time_limit=clock.limit(9.0))
    assert clock.steps == 10, "the state is saved when the time is up, and not later"
    assert not folder.exists() and folder.state.is_file()
    first, second = evaluated
    for name, values in load_file(folder.snapshot.path / "model.safetensors").items():
        mean = (first[name] + second[name]) / 2 if keep == "average" else second[name]
        torch.testing.assert_close(values, mean, rtol=0, atol=1e-7)
    record = folder.snapshot.read_run()
    assert record["stopped"] == {"rows": 60 + 16, "of": 90, "evaluations": 2}
    assert len(Ensemble.from_folder(folder.snapshot.path).folders) == 1
    has_oof = folder.snapshot.oof.is_file()
    assert has_oof == (keep == "last"), "nothing is predicted again for it"
    assert RunFolder.of(experiment).finished() == []

    resumed = train_fold(experiment, 0, resume=True)
    for name, values in load_file(resumed.path / "model.safetensors").items():
        assert torch.equal(values, expected[name]), name
    ours = [record["metrics"] for record in load_history(resumed)]
    assert ours == [record["metrics"] for record in history]


def test_an_evaluation_for_which_there_is_no_time_is_not_begun(
    work_dir, backbone, monkeypatch, evaluated
):
    experiment = make_experiment("train.csv", backbone)
    create_folds(experiment)
    clock = StepClock(monkeypatch)
    folder = train_fold(experiment, 0, time_limit=clock.limit(100.0, evaluation_seconds=98.0))
    assert clock.steps == 3, "the evaluation after the fourth step would end at 101"
    assert evaluated == []
    record = folder.snapshot.read_run()
    assert record["stopped"] == {"rows": 24, "of": 60, "evaluations": 0}
    assert json.loads(folder.snapshot.metrics.read_text()) == {}


def test_a_limit_that_is_far_changes_nothing(work_dir, backbone):
    experiment = make_experiment("train.csv", backbone)
    create_folds(experiment)
    expected = load_file(train_fold(experiment, 0).path / "model.safetensors")
    folder = train_fold(
        experiment, 0, overwrite=True, time_limit=lambda trainer: TimeLimit(time.time() + 3600)
    )
    assert folder.exists() and not folder.snapshot.exists()
    for name, values in load_file(folder.path / "model.safetensors").items():
        assert torch.equal(values, expected[name]), name


def test_all_processes_stop_at_the_same_step(work_dir, backbone):
    """Only the second process has no time left, and the first one must not go on alone."""
    experiment = make_experiment("train.csv", backbone, train={"epochs": 2})
    create_folds(experiment)
    Path("e.toml").write_text(to_toml(experiment))
    for process in run_in_two_processes([sys.executable, "-c", TWO_PROCESSES]):
        assert process.returncode == 0, process.stderr
        assert "stopped: True" in process.stdout
    folder = RunFolder.of(experiment).fold(0)
    assert folder.snapshot.read_run()["processes"] == 2


TWO_PROCESSES = """
import os
from auxfold.config.experiment import load_experiment
from auxfold.training.fold import train_fold
from auxfold.training.time_limit import TimeLimit

deadline = 100.0 if os.environ["RANK"] == "0" else -1.0
limit = TimeLimit(deadline, clock=lambda: 0.0)
folder = train_fold(load_experiment("e.toml"), 0, time_limit=lambda trainer: limit)
print("stopped:", not folder.exists())
"""
