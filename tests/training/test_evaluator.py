"""Held-out rows are predicted once per evaluation, and the stored predictions are the fold's."""

from __future__ import annotations

import os
import signal

import numpy as np
import pandas as pd
import pytest

import auxfold
from auxfold.storage.atomic import read_json
from auxfold.storage.run_folder import FoldFolder, RunFolder
from auxfold.training.evaluator import FoldEvaluator
from auxfold.training.fold import train_fold
from auxfold.training.fold_trainer import FoldTrainer
from auxfold.training.split import create_folds
from conftest import make_experiment

THREE = {"epochs": 3, "learning_rate": 1e-2}  # evaluations


def count_predictions(monkeypatch) -> list[str]:
    """A list that gets an entry whenever the held-out rows are predicted."""
    calls, predict = [], FoldEvaluator.predict

    def record(self, model):
        calls.append("predicted")
        return predict(self, model)

    monkeypatch.setattr(FoldEvaluator, "predict", record)
    return calls


def set_scores(monkeypatch, scores: list[float]) -> None:
    select, numbers = FoldTrainer.select, iter(scores)
    monkeypatch.setattr(
        FoldTrainer, "select", lambda self, m: select(self, {**m, "main/auc": next(numbers)})
    )


def assert_oof_is_of_the_model(folder: FoldFolder) -> None:
    """The stored predictions are those of the stored weights."""
    oof = pd.read_parquet(folder.oof).set_index("id")
    rows = pd.read_csv("train.csv").set_index("id").loc[oof.index]
    predictions = auxfold.load(folder.path).predict(rows, tasks="all")
    for column in ("toxic", "insult", "threat"):
        np.testing.assert_allclose(predictions[column], oof[column], atol=1e-6)


@pytest.mark.parametrize(
    ("keep", "scores", "n_predictions"),
    [("best", [0.9, 0.2, 0.1], 3), ("last", [0.9, 0.2, 0.1], 3), ("average", [0.9, 0.2, 0.1], 4)],
)
def test_rows_are_predicted_again_only_by_averaged_weights(
    work_dir, backbone, monkeypatch, keep, scores, n_predictions
):
    calls = count_predictions(monkeypatch)
    set_scores(monkeypatch, scores)
    experiment = make_experiment("train.csv", backbone, selection={"keep": keep}, train=THREE)
    create_folds(experiment)
    folder = train_fold(experiment, 0)
    assert len(calls) == n_predictions
    assert_oof_is_of_the_model(folder)


@pytest.mark.parametrize("changes", [{}, {"train": {**THREE, "ema": 0.9}}], ids=["plain", "ema"])
def test_a_resumed_fold_has_the_stored_predictions(work_dir, backbone, monkeypatch, changes):
    """Stopped in the last epoch, after the best evaluation: only the rest is predicted."""
    set_scores(monkeypatch, [0.9, 0.2, 0.1] * 2)
    experiment = make_experiment("train.csv", backbone, **{"train": THREE, **changes})
    create_folds(experiment)
    folder = train_fold(experiment, 0)
    whole, metrics = pd.read_parquet(folder.oof), read_json(folder.metrics)
    take_step = FoldTrainer.take_step

    def interrupt(self, indices):
        if self.progress.epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)
        take_step(self, indices)

    monkeypatch.setattr(FoldTrainer, "take_step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train_fold(experiment, 0, overwrite=True)
    monkeypatch.setattr(FoldTrainer, "take_step", take_step)
    calls = count_predictions(monkeypatch)
    resumed = train_fold(experiment, 0, resume=True)
    assert len(calls) == 1
    pd.testing.assert_frame_equal(pd.read_parquet(resumed.oof), whole, check_exact=True)
    assert read_json(resumed.metrics) == metrics
    assert_oof_is_of_the_model(resumed)


def test_a_fold_that_is_killed_at_its_end_predicts_nothing_again(work_dir, backbone, monkeypatch):
    experiment = make_experiment("train.csv", backbone, train={"epochs": 1})
    create_folds(experiment)
    finish = FoldTrainer.finish
    monkeypatch.setattr(FoldTrainer, "finish", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train_fold(experiment, 0)
    monkeypatch.setattr(FoldTrainer, "finish", finish)
    calls = count_predictions(monkeypatch)
    folder = train_fold(experiment, 0, resume=True)
    assert not calls
    assert folder == RunFolder.of(experiment).fold(0)
    assert_oof_is_of_the_model(folder)
