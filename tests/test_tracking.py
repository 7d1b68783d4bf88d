"""Tracking writes an offline run per fold, and a failing W&B stops nothing."""

from __future__ import annotations

import sys

import pytest

from auxfold.tracking import Tracker, wandb_mode
from auxfold.training.fold import train_fold
from auxfold.training.rows import create_folds
from conftest import make_experiment


def test_offline_writes_a_run_of_its_own(workplace, backbone):
    experiment = make_experiment("train.csv", backbone, tracking={"wandb": "offline"})
    create_folds(experiment)
    train_fold(experiment, 0)
    runs = list((workplace / "outputs/tiny/wandb").glob("offline-run-*/run-*.wandb"))
    assert len(runs) == 1 and runs[0].stat().st_size > 0


def test_a_failing_wandb_is_said_once_and_training_goes_on(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "wandb", None)  # import wandb raises ImportError
    experiment = make_experiment("t", "b", tracking={"wandb": "online"})
    tracker = Tracker(experiment, 0, tmp_path)
    record = {"epoch": 1, "rows": 1, "learning_rate": 0.1, "gradient_norm": 1.0, "train_loss": {}}
    tracker.log(record)
    tracker.finish({"main/auc": 0.5})
    assert capsys.readouterr().out.count("W&B is off") == 1


@pytest.mark.parametrize(
    ("setting", "environment", "key", "expected"),
    [
        ("off", "online", "k", "off"),
        ("offline", "", "k", "offline"),
        ("auto", "", "k", "online"),
        ("auto", "", "", "offline"),
        ("auto", "disabled", "k", "off"),
        ("auto", "offline", "k", "offline"),
    ],
)
def test_modes(monkeypatch, tmp_path, setting, environment, key, expected):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_MODE", environment)
    monkeypatch.setenv("WANDB_API_KEY", key)
    assert wandb_mode(setting) == expected
