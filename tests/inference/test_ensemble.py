"""Fold models that read the same batches where they fit into memory, else one after the other."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from auxfold.data.loading import read_prediction_table
from auxfold.errors import InputError
from auxfold.inference import ensemble as ensemble_module
from auxfold.inference.ensemble import Ensemble
from auxfold.inference.fold_loader import FoldLoader
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from conftest import make_experiment, make_frame

FOLDS = (0, 1, 2)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, backbone):
    workdir = tmp_path_factory.mktemp("ensemble")
    make_frame(40).to_csv(workdir / "train.csv", index=False)
    make_frame(21, seed=5).to_csv(workdir / "test.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workdir)
        train = {"epochs": 1, "learning_rate": 1e-2}
        experiment = make_experiment("train.csv", backbone, folds={"n_splits": 3}, train=train)
        create_folds(experiment)
        for fold in FOLDS:
            train_fold(experiment, fold)
    return workdir


@pytest.fixture
def folds(workdir, monkeypatch):
    monkeypatch.chdir(workdir)
    return Ensemble.from_folder("outputs/tiny")


def predict(folds: Ensemble):
    """The predictions, and the logits of each fold in the order in which they came."""
    table, by_fold = read_prediction_table(folds.experiment, "test.csv"), {}
    predictions = folds.predict(
        table,
        folds.tasks,
        "probability",
        show=False,
        on_fold=lambda folder, logits: by_fold.update({folder.path.name: logits}),
    )
    return predictions, by_fold


def count_models(monkeypatch) -> list[int]:
    """A list that gets the number of models in memory whenever one was loaded."""
    alive, counts, load = [], [], FoldLoader.load

    def record(loader, folder, amp_dtype):
        model = load(loader, folder, amp_dtype)
        alive.append(weakref.ref(model))
        gc.collect()
        counts.append(sum(reference() is not None for reference in alive))
        return model

    monkeypatch.setattr(FoldLoader, "load", record)
    return counts


def test_folds_that_share_batches_predict_as_one_after_the_other(folds, monkeypatch):
    counts = count_models(monkeypatch)
    predictions, by_fold = predict(folds)
    assert counts == [1, 1, 1], "one model is in memory at a time"
    monkeypatch.setattr(Ensemble, "_split_by_memory", lambda self, model: [self.folders])
    counts = count_models(monkeypatch)
    shared, shared_by_fold = predict(folds)
    assert counts == [1, 2, 3]
    assert list(by_fold) == list(shared_by_fold) == ["fold_0", "fold_1", "fold_2"]
    for name, values in predictions.items():
        np.testing.assert_array_equal(shared[name], values)
        for fold, logits in by_fold.items():
            np.testing.assert_array_equal(shared_by_fold[fold][name], logits[name])
    assert np.abs(by_fold["fold_0"]["main"] - by_fold["fold_1"]["main"]).max() > 1e-4


@pytest.mark.parametrize(
    ("device", "free", "groups"),
    [("cuda", 3 * 1.5 * 2 * 400, 1), ("cuda", 3 * 1.5 * 2 * 400 - 1, 3), ("cpu", 1e12, 3)],
)
def test_models_are_together_on_a_gpu_with_room_for_them(folds, monkeypatch, device, free, groups):
    monkeypatch.setattr(ensemble_module, "free_memory", lambda _: free)
    layer = nn.Linear(10, 10, bias=False)  # 400 bytes, of which two more are needed
    model = SimpleNamespace(
        device=torch.device(device),
        parameters=layer.parameters,
        fast_encoder=lambda: "half-precision copies",
        config=SimpleNamespace(reference=None),
    )
    assert len(folds._split_by_memory(model)) == groups


def test_texts_are_tokenized_once(folds, monkeypatch):
    calls, tokenize = [], ensemble_module.tokenize_dataset
    monkeypatch.setattr(
        ensemble_module, "tokenize_dataset", lambda *args: (calls.append(1), tokenize(*args))[1]
    )
    predict(folds)
    assert len(calls) == 1 and len(pd.read_csv("test.csv")) == 21


def test_a_prediction_that_is_not_finite_is_refused_with_its_row(folds, monkeypatch):
    def overflow(*args, **options):
        logits = predict_fold_logits(*args, **options)
        logits[0]["main"][3] = np.nan  # of one fold, in one row
        return logits

    predict_fold_logits = ensemble_module.predict_fold_logits
    monkeypatch.setattr(ensemble_module, "predict_fold_logits", overflow)
    name = pd.read_csv("test.csv")["id"][3]
    with pytest.raises(InputError, match=rf"1 of 21 rows have .* not finite \(rows '{name}'\)"):
        predict(folds)
