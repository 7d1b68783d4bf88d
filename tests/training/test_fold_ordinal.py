"""Folds of ordered classes: resumed, in two processes, with an adapter, and in a Kaggle bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import auxfold
from auxfold.config.experiment import Experiment
from auxfold.inference.ensemble import Ensemble
from auxfold.inference.merge import merge_fold
from auxfold.kaggle import kernel
from auxfold.kaggle.bundle import write_bundle
from auxfold.kaggle.names import KaggleNames
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from conftest import (
    assert_resumes_exactly,
    assert_same_training,
    load_history,
    load_tensors,
    make_experiment,
    make_frame,
    train_in_two_processes,
)

STARS = {"name": "stars", "kind": "ordinal", "columns": ["rating"], "classes": ["1", "2", "3"]}
AUXILIARY = {"name": "aux", "kind": "binary", "columns": ["insult", "threat"], "weight": 0.5}
CUT_POINTS = "heads.stars.cut_points"
NOTEBOOK = Path(__file__).parents[2] / "notebooks/kaggle_inference.ipynb"


def make_ordinal_experiment(backbone: str, **changes) -> Experiment:
    """An experiment whose ratings count the word "goose"; some rows have none."""
    frame = make_frame()
    goose = frame["text"].str.split().apply(lambda words: words.count("goose"))
    frame["rating"] = (goose + 1).clip(upper=3).astype(object)
    frame.loc[::7, "rating"] = ""
    frame.to_csv("train.csv", index=False)
    experiment = make_experiment(
        "train.csv", backbone, tasks=[{**STARS, "main": True}, AUXILIARY], **changes
    )
    create_folds(experiment)
    return experiment


def test_a_resumed_training_has_the_same_cut_points(work_dir, backbone, monkeypatch):
    assert_resumes_exactly(make_ordinal_experiment(backbone), monkeypatch, step=6)
    assert CUT_POINTS in load_tensors(Path("outputs/tiny/fold_0"))


def test_two_processes_train_the_model_of_one(work_dir, backbone):
    none = {"head_dropout": 0.0, "hidden_dropout": 0.0, "attention_dropout": 0.0}
    model = {"backbone": backbone, "max_length": 24, **none}
    experiment = make_ordinal_experiment(backbone, model=model)
    folder = train_fold(experiment, 0)
    whole, history = load_tensors(folder.path), load_history(folder)
    train_in_two_processes(experiment)
    assert_same_training(folder, whole, history)


@pytest.fixture
def adapter_run(work_dir, backbone) -> Experiment:
    """Two folds of an adapter, with a test file and a sample submission of a competition."""
    folder = Path("input/tiny-comments")
    folder.mkdir(parents=True)
    test = make_frame(20, seed=3)[["id", "text"]]
    test.to_csv(folder / "test.csv", index=False)
    test[["id"]].assign(rating="1").to_csv(folder / "sample.csv", index=False)
    files = {"test": f"{folder}/test.csv", "sample_submission": f"{folder}/sample.csv"}
    experiment = make_ordinal_experiment(
        backbone, data={"train": "train.csv", **files}, model={"adapter": {"kind": "lora"}},
        train={"learning_rate": 1e-2},
    )  # fmt: skip
    for fold in (0, 1):
        train_fold(experiment, fold)
    return experiment


@pytest.mark.usefixtures("forked_workers")
def test_with_an_adapter_stored_merged_and_bundled(adapter_run):
    stored = load_tensors(Path("outputs/tiny/fold_0"))
    assert stored[CUT_POINTS].shape == (2,)
    assert not any("embeddings" in name for name in stored), "the backbone is not stored"
    test = pd.read_csv("input/tiny-comments/test.csv")
    expected = auxfold.load("outputs/tiny").predict(test)
    columns = ["rating_1", "rating_2", "rating_3"]
    np.testing.assert_allclose(expected[columns].sum(axis=1), 1, rtol=1e-6)
    ensemble = Ensemble.from_experiment(adapter_run)
    merge_fold(ensemble.folders[0], Path("merged"))
    torch.testing.assert_close(load_tensors(Path("merged"))[CUT_POINTS], stored[CUT_POINTS])
    alone = auxfold.load("outputs/tiny/fold_0").predict(test)
    merged = auxfold.load("merged").predict(test)
    np.testing.assert_allclose(merged[columns], alone[columns], atol=1e-5)
    names = KaggleNames("ada", "auxfold tiny", "tiny-comments")
    bundle = write_bundle(ensemble, names, NOTEBOOK, "fp32") / "dataset"
    paths = kernel.find_inputs(bundle, Path("input"))
    submission, folds = kernel.predict(bundle, *paths, hours=1.0, devices=["cpu"])
    assert folds == ["fold_0", "fold_1"]
    assert submission.to_dict("list") == {
        "id": test["id"].tolist(),
        "rating": expected["rating"].tolist(),
    }
    shares, _ = kernel.predict(bundle, paths[0], None, hours=1.0, devices=["cpu"])
    np.testing.assert_allclose(shares[columns], expected[columns], atol=1e-5)
