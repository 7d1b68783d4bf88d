"""A signal or a kill at the end of a training costs nothing."""

from __future__ import annotations

import os
import signal

import pytest
import torch
from safetensors.torch import load_file

from auxfold.errors import InputError
from auxfold.storage.lock import FoldLock
from auxfold.storage.run_folder import RunFolder
from auxfold.training import fold_trainer, signals
from auxfold.training.fold import train_fold
from auxfold.training.fold_trainer import FoldTrainer
from auxfold.training.loop import StepTrainer
from auxfold.training.signals import Terminated
from auxfold.training.split import create_folds
from conftest import make_experiment


@pytest.fixture
def experiment(work_dir, backbone):
    experiment = make_experiment("train.csv", backbone, train={"epochs": 1})
    create_folds(experiment)
    return experiment


@pytest.fixture
def weights(experiment) -> dict[str, torch.Tensor]:
    """Of the undisturbed training, which is removed."""
    folder = train_fold(experiment, 0)
    weights = load_file(folder.path / "model.safetensors")
    for path in folder.path.iterdir():
        path.unlink()
    folder.path.rmdir()
    return weights


def send_before(monkeypatch, owner: type, method: str, *numbers: int, call: int = 1) -> None:
    """Signals to this process before the n-th call of a method."""
    n_calls, original = 0, getattr(owner, method)

    def send(self, *arguments):
        nonlocal n_calls
        n_calls += 1
        if n_calls == call:
            for number in numbers:
                os.kill(os.getpid(), number)
        return original(self, *arguments)

    monkeypatch.setattr(owner, method, send)


def refuse_steps(monkeypatch) -> None:
    def refuse(self, indices):
        raise AssertionError("a step is trained again")

    monkeypatch.setattr(StepTrainer, "train_step", refuse)


def assert_equal(folder, weights: dict[str, torch.Tensor]) -> None:
    for name, values in load_file(folder.path / "model.safetensors").items():
        assert torch.equal(values, weights[name]), name


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_last_save_stops(experiment, weights, monkeypatch, number):
    send_before(monkeypatch, FoldTrainer, "save", number)
    with pytest.raises(Terminated):
        train_fold(experiment, 0)
    folder = RunFolder.of(experiment).fold(0)
    assert folder.state.is_file() and not folder.exists() and not folder.lock.exists()
    refuse_steps(monkeypatch)
    assert_equal(train_fold(experiment, 0, resume=True), weights)


def test_a_signal_while_the_fold_is_finished_stops_afterwards(experiment, weights, monkeypatch):
    send_before(monkeypatch, FoldTrainer, "finish", signal.SIGTERM)
    with pytest.raises(Terminated):
        train_fold(experiment, 0)
    folder = RunFolder.of(experiment).fold(0)
    assert folder.exists() and not folder.working.exists()
    assert_equal(folder, weights)


def test_sigusr1_saves_and_goes_on(experiment, weights, monkeypatch, capsys):
    send_before(monkeypatch, StepTrainer, "train_step", signal.SIGUSR1, call=2)
    saved_at, save = [], fold_trainer.save_state

    def note(path, progress, *arguments):
        saved_at.append((progress.epoch, progress.step_in_epoch))
        save(path, progress, *arguments)

    monkeypatch.setattr(fold_trainer, "save_state", note)
    folder = train_fold(experiment, 0)
    assert saved_at == [(0, 2), (1, 0)], "after the step, and at the end of the epoch"
    assert "fold_0.partial/state.safetensors is saved\n" in capsys.readouterr().out
    assert_equal(folder, weights)


@pytest.mark.parametrize("method", ["train_step", "evaluate", "save", "finish"])
def test_the_second_signal_stops_at_once_and_resume_goes_on(
    experiment, weights, monkeypatch, method
):
    owner = StepTrainer if method == "train_step" else FoldTrainer
    send_before(monkeypatch, owner, method, signal.SIGINT, signal.SIGTERM)
    monkeypatch.setattr(signals, "REPEATED_SECONDS", 0)
    original = getattr(owner, method)
    with pytest.raises(KeyboardInterrupt):
        train_fold(experiment, 0)
    folder = RunFolder.of(experiment).fold(0)
    assert folder.state.is_file() == (method == "finish") and not folder.exists()
    monkeypatch.setattr(owner, method, original)
    assert_equal(train_fold(experiment, 0, resume=True), weights)


def test_a_complete_folder_is_renamed_without_a_step(experiment, monkeypatch, capsys):
    folder = train_fold(experiment, 0)
    os.replace(folder.path, folder.working)  # as if it was killed before the rename
    folder.state.touch()
    refuse_steps(monkeypatch)
    train_fold(experiment, 0, resume=True)
    assert folder.exists() and not folder.working.exists()
    assert not (folder.path / folder.state.name).exists()
    assert "fold_0.partial is complete; it becomes" in capsys.readouterr().out
    (folder.path / folder.state.name).touch()  # as if it was killed before the cleaning
    train_fold(experiment, 0, resume=True)
    assert folder.list_training_files() == []


def test_a_fold_that_is_being_trained_is_refused(experiment, monkeypatch):
    with FoldLock(RunFolder.of(experiment).fold(0)):
        for options in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(InputError, match=f"is being trained by process {os.getpid()}"):
                train_fold(experiment, 0, **options)
        train_fold(experiment, 1)


def test_a_training_whose_lock_was_taken_over_saves_nothing(experiment, monkeypatch):
    folder = RunFolder.of(experiment).fold(0)
    original = StepTrainer.train_step

    def take_over(self, indices):
        folder.lock.write_text(folder.lock.read_text().replace('"process": ', '"process": 1'))
        return original(self, indices)

    monkeypatch.setattr(StepTrainer, "train_step", take_over)
    with pytest.raises(InputError, match="is being trained by process 1.* now"):
        train_fold(experiment, 0)
    assert not folder.state.exists()
