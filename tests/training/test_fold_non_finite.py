"""Neither a bad step nor a bad evaluation costs a fold, or gets into what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from auxfold.config.experiment import to_toml
from auxfold.storage.atomic import read_json
from auxfold.storage.run_folder import FoldFolder
from auxfold.training import checkpoint
from auxfold.training.evaluator import FoldEvaluator
from auxfold.training.fold import train_fold
from auxfold.training.fold_trainer import FoldTrainer
from auxfold.training.loop import StepTrainer
from auxfold.training.split import create_folds
from commands import refusal_of_script
from conftest import assert_resumes_exactly, load_history, load_tensors, make_experiment

THREE = {"epochs": 3, "learning_rate": 1e-2}  # evaluations


def infect_step(monkeypatch: pytest.MonkeyPatch, epoch: int, step: int) -> None:
    """Make a gradient infinite in one step of the training, whoever makes it."""
    take_step, clip = FoldTrainer.take_step, StepTrainer.clip_gradients

    def bad_clip(self: StepTrainer) -> torch.Tensor:
        gradient = next(p.grad for p in self.model.parameters() if p.grad is not None)
        gradient.view(-1)[0] = float("inf")
        return clip(self)

    def take(self: FoldTrainer, indices: np.ndarray) -> None:
        with pytest.MonkeyPatch.context() as patch:
            if (self.progress.epoch, self.progress.step_in_epoch) == (epoch, step):
                patch.setattr(StepTrainer, "clip_gradients", bad_clip)
            take_step(self, indices)

    monkeypatch.setattr(FoldTrainer, "take_step", take)


def count_infinite(content: Any) -> int:
    """Tensors of a nested value that are not finite."""
    if isinstance(content, torch.Tensor):
        return int(not content.isfinite().all())
    if isinstance(content, dict):
        return count_infinite(list(content.values()))
    return sum(map(count_infinite, content)) if isinstance(content, list | tuple) else 0


@pytest.mark.parametrize("position", [(1, 1), (1, 3)], ids=["middle", "last"])
def test_an_infinite_gradient_gets_nowhere(work_dir, backbone, monkeypatch, position):
    """Not into a state, kept weights or averages, and a resumed training is the very same."""
    files, write = [], checkpoint.write_tensor_file

    def record(path, content):
        files.append((path.name, count_infinite(content)))
        write(path, content)

    monkeypatch.setattr(checkpoint, "write_tensor_file", record)
    infect_step(monkeypatch, *position)
    experiment = make_experiment(
        "train.csv",
        backbone,
        train={"ema": 0.9},
        selection={"keep": "last"},
        task_weighting={"method": "uncertainty"},
    )
    create_folds(experiment)
    assert_resumes_exactly(experiment, monkeypatch, step=7)
    assert {name for name, _ in files} == {
        "state.safetensors", "kept_0.safetensors", "kept_1.safetensors",
    }  # fmt: skip
    assert not [name for name, n_infinite in files if n_infinite]
    folder = FoldFolder(work_dir / "outputs/tiny/fold_0")
    assert not count_infinite(load_tensors(folder.path))
    assert folder.read_run()["skipped_steps"] == 1
    assert len(load_history(folder)) == 2


def infect_evaluations(monkeypatch: pytest.MonkeyPatch, numbers: Sequence[int]) -> None:
    """Three rows of some evaluations get predictions of NaN and infinity."""
    predict, calls = FoldEvaluator.predict, []

    def infected(self, model):
        predictions = predict(self, model)
        if len(calls) in numbers:
            predictions["main"][:2] = np.nan
            predictions["aux"][4] = np.inf
        calls.append(True)
        return predictions

    monkeypatch.setattr(FoldEvaluator, "predict", infected)


def test_a_bad_evaluation_is_said_and_never_selected(work_dir, backbone, monkeypatch, capsys):
    """Not even the first one, nor one with the best of all scores."""
    experiment = make_experiment("train.csv", backbone, train=THREE)
    create_folds(experiment)
    infect_evaluations(monkeypatch, [0, 2])
    folder = train_fold(experiment, 0)
    first, second, third = load_history(folder)
    for record in (first, third):
        assert set(record["metrics"].values()) == {None} and record["non_finite_rows"] == 3
    assert first["metrics"].keys() == second["metrics"].keys()
    assert second["metrics"]["main/auc"] > 0 and "non_finite_rows" not in second
    selection = folder.read_run()["selection"]
    assert selection["at"] == [1, 4]
    assert (
        selection["value"] == second["metrics"]["main/auc"] == read_json(folder.metrics)["main/auc"]
    )
    assert np.isfinite(pd.read_parquet(folder.oof)[["toxic", "insult", "threat"]]).all(axis=None)
    lines = capsys.readouterr().out.splitlines()
    ids = pd.read_parquet(folder.oof)["id"].tolist()
    said = f"3 of 30 rows have predictions that are not finite (rows {ids[0]!r}, {ids[1]!r}"
    assert sum(said in line for line in lines) == 2
    assert sum("(best so far)" in line for line in lines) == 1


@pytest.mark.parametrize("keep", ["best", "average"])
def test_a_fold_of_bad_evaluations_is_finished(work_dir, backbone, monkeypatch, capsys, keep):
    """With null for every metric, also of identities; scores of all folds are refused."""
    experiment = make_experiment(
        "train.csv", backbone, selection={"keep": keep}, identities={"columns": ["threat"]}
    )
    create_folds(experiment)
    infect_evaluations(monkeypatch, range(9))
    for fold in (0, 1):
        folder = train_fold(experiment, fold)
    assert set(read_json(folder.metrics).values()) == {None}
    assert "jigsaw_bias/score" in read_json(folder.metrics)
    assert folder.read_run()["selection"]["value"] is None
    assert pd.read_parquet(folder.oof)["toxic"].isna().sum() == 2
    (work_dir / "e.toml").write_text(to_toml(experiment))
    capsys.readouterr()
    line = refusal_of_script(capsys, "evaluate", "--config", "e.toml")
    assert "fold_0/oof.parquet: 3 of 30 rows have predictions that are not finite" in line


def test_numbers_of_a_record_that_are_not_finite_are_null(work_dir, backbone, monkeypatch):
    """Whatever overflows, the history is written."""
    experiment = make_experiment("train.csv", backbone, train={"epochs": 1})
    create_folds(experiment)
    pop_window = checkpoint.Progress.pop_window
    monkeypatch.setattr(
        checkpoint.Progress,
        "pop_window",
        lambda self: {**pop_window(self), "gradient_norm": float("inf")},
    )
    (record,) = load_history(train_fold(experiment, 0))
    assert record["gradient_norm"] is None and record["train_loss"]["main"] > 0


@pytest.mark.cuda
@pytest.mark.parametrize("call", [2, 8], ids=["middle", "last"])
def test_an_infinite_gradient_in_fp16_gets_nowhere(work_dir, backbone, monkeypatch, call):
    """The real scaler, whose first steps overflow by themselves."""
    clip, calls = StepTrainer.clip_gradients, []

    def bad_clip(self: StepTrainer) -> torch.Tensor:
        calls.append(True)
        if len(calls) == call:
            next(p.grad for p in self.model.parameters() if p.grad is not None).fill_(float("inf"))
        return clip(self)

    monkeypatch.setattr(StepTrainer, "clip_gradients", bad_clip)
    experiment = make_experiment("train.csv", backbone, train={"precision": "fp16", "ema": 0.9})
    create_folds(experiment)
    folder = train_fold(experiment, 0)
    assert len(calls) == 8 and folder.read_run()["skipped_steps"] >= 1
    assert not count_infinite(load_tensors(folder.path))
