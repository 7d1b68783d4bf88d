"""An interrupted and resumed training ends in the very weights of an uninterrupted one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from auxfold.config.experiment import to_toml
from auxfold.errors import InputError
from auxfold.storage.run_folder import OUTPUTS, FoldFolder, RunFolder
from auxfold.training import build
from auxfold.training.fold import train_fold
from auxfold.training.fold_trainer import FoldTrainer
from auxfold.training.loop import StepTrainer
from auxfold.training.split import create_folds
from auxfold.training.tensor_file import read_tensor_file
from conftest import make_experiment

TRAIN = Path(__file__).parents[2] / "scripts/train.py"


def load_weights(folder: FoldFolder) -> dict[str, torch.Tensor]:
    return load_file(folder.path / "model.safetensors")


def load_history(folder: FoldFolder) -> list[dict]:
    records = [json.loads(line) for line in folder.history.read_text().splitlines()]
    return [{k: v for k, v in record.items() if k != "seconds"} for record in records]


@pytest.mark.parametrize(
    ("owner", "method", "call"),
    [
        (StepTrainer, "train_step", 6),  # in the middle of the second epoch
        (StepTrainer, "train_step", 1),
        (FoldTrainer, "evaluate", 1),  # after a step was counted and before its record is stored
        (FoldTrainer, "evaluate", 2),
        (FoldTrainer, "keep_weights", 1),
    ],
)
def test_a_signal_anywhere_changes_nothing(work_dir, backbone, monkeypatch, owner, method, call):
    experiment = make_experiment("train.csv", backbone)
    create_folds(experiment)
    whole = train_fold(experiment, 0)
    weights, records = load_weights(whole), load_history(whole)
    calls, original = 0, getattr(owner, method)

    def interrupt(self, *arguments):
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, *arguments)

    monkeypatch.setattr(owner, method, interrupt)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train_fold(experiment, 0, overwrite=True)
    assert whole.exists(), "the old fold stays until the new one is done"
    assert signal.getsignal(signal.SIGINT) is handler
    monkeypatch.setattr(owner, method, original)
    resumed = train_fold(experiment, 0, resume=True)
    assert load_history(resumed) == records
    for name, values in weights.items():
        assert torch.equal(load_weights(resumed)[name], values), name
    assert not resumed.working.exists()


def test_a_finished_fold_is_skipped_only_if_it_is_the_one_asked_for(work_dir, backbone, capsys):
    experiment = make_experiment("train.csv", backbone)
    create_folds(experiment)
    train_fold(experiment, 0)
    train_fold(experiment, 0, resume=True)
    assert "is finished already" in capsys.readouterr().out
    other = make_experiment("train.csv", backbone, train={"epochs": 3})
    with pytest.raises(
        InputError, match="was trained with train.epochs = 2, you gave 3; .*--overwrite"
    ):
        train_fold(other, 0, resume=True)


def test_a_state_of_another_training_is_refused(work_dir, backbone, monkeypatch):
    experiment = make_experiment("train.csv", backbone, train={"precision": "auto"})
    create_folds(experiment)
    original = StepTrainer.train_step

    def interrupt(self, indices):
        os.kill(os.getpid(), signal.SIGTERM)
        return original(self, indices)

    monkeypatch.setattr(build, "choose_amp_dtype", lambda *_: "fp32")
    monkeypatch.setattr(StepTrainer, "train_step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train_fold(experiment, 0)
    other = make_experiment("train.csv", backbone, train={"precision": "auto", "epochs": 3})
    with pytest.raises(
        InputError, match="was started with train.epochs = 2, you gave 3; use --config"
    ):
        train_fold(other, 0, resume=True)
    monkeypatch.setattr(build, "choose_amp_dtype", lambda *_: "bf16")  # another machine
    with pytest.raises(InputError, match="another kind of device"):
        train_fold(experiment, 0, resume=True)


@pytest.mark.parametrize(
    ("sent", "code", "script", "options", "run", "fold"),
    [
        (signal.SIGINT, 130, "train", ["--fold", "1"], "tiny", 1),
        (signal.SIGTERM, 143, "train", ["--fold", "all"], "tiny", 0),
        (
            signal.SIGINT,
            130,
            "compare",
            ["--variant", "v", "train.warmup_ratio=0.2"],
            "tiny_compare_baseline_s42",
            0,
        ),
    ],
)
def test_a_signal_to_all_processes_saves(
    work_dir, backbone, sent, code, script, options, run, fold
):
    """It reaches parent and child, from a terminal and from most batch systems."""
    experiment = make_experiment("train.csv", backbone, train={"epochs": 400})
    create_folds(experiment)
    (work_dir / "e.toml").write_text(to_toml(experiment))
    path = TRAIN.with_name(f"{script}.py")
    command = [sys.executable, str(path), "--config", "e.toml", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    for line in process.stdout:
        if "epoch 2.00" in line:
            os.killpg(process.pid, sent)
            break
    process.stdout.read()
    assert process.wait(timeout=60) == code
    process.stdout.close()
    folder = RunFolder(OUTPUTS / run).fold(fold)
    state = read_tensor_file(folder.state)
    assert state["progress"]["epoch"] >= 2 or state["progress"]["step_in_epoch"] > 0
    assert len(state["progress"]["history"]) >= 2
    assert not folder.exists() and not folder.lock.exists()
    assert not RunFolder(OUTPUTS / run).fold(fold + 1).working.exists()
    assert [p.name for p in folder.working.glob(".*")] == []


# Python runs a ``sitecustomize`` at its start: here one that takes the place of the training, which
# is a process of its own or a fork of one that has imported everything.
SLOW_TO_SAVE = """
import os, signal, sys, time
from pathlib import Path

def save(*_):
    time.sleep(1)
    Path("saved").touch()
    os._exit(130)

def train(*_):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, save)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
    print("training", flush=True)
    time.sleep(60)

if sys.orig_argv[1:4] == ["-m", "auxfold", "train"]:
    train()
elif any("forkserver" in argument for argument in sys.orig_argv):
    import auxfold.cli.train
    auxfold.cli.train.main = train
"""


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_whoever_starts_a_training_waits_until_it_is_saved(
    work_dir, backbone, sent, code, monkeypatch
):
    """A state of hundreds of megabytes takes seconds to write."""
    (work_dir / "e.toml").write_text(to_toml(make_experiment("train.csv", backbone)))
    (work_dir / "slow").mkdir()
    (work_dir / "slow/sitecustomize.py").write_text(SLOW_TO_SAVE)
    monkeypatch.setenv("PYTHONPATH", str(work_dir / "slow"))
    command = [
        sys.executable,
        str(TRAIN.with_name("compare.py")),
        "--config",
        "e.toml",
        "--variant",
        "v",
        "train.warmup_ratio=0.2",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    for line in process.stdout:
        if "training" in line and "trainings" not in line:
            # From a terminal every process gets Ctrl-C; a cluster terminates the one it started.
            (os.killpg if sent == signal.SIGINT else os.kill)(process.pid, sent)
            break
    process.stdout.read()
    process.stdout.close()
    assert process.wait(timeout=60) == code
    assert (work_dir / "saved").exists()
