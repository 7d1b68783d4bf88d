"""Folds of a binned task: stored as such, they predict the expectation wherever they are loaded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

import auxfold
from auxfold.inference.ensemble import Ensemble
from auxfold.kaggle.bundle import write_bundle
from auxfold.kaggle.names import KaggleNames
from auxfold.model.multitask import MultiTaskModel
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from conftest import make_experiment, make_frame

TASKS = [
    {"name": "main", "kind": "binary", "columns": ["toxic"], "main": True, "loss": "binned"},
    {"name": "aux", "kind": "binary", "columns": ["insult", "threat"], "loss": "binned", "bins": 3},
]
NOTEBOOK = Path(__file__).parents[2] / "notebooks/kaggle_inference.ipynb"


@pytest.fixture(scope="module")
def directory(tmp_path_factory, backbone) -> Path:
    """Two folds, of texts of 60 rows."""
    directory = tmp_path_factory.mktemp("binned")
    make_frame().to_csv(directory / "train.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        experiment = make_experiment("train.csv", backbone, tasks=TASKS,
                                     train={"epochs": 3, "learning_rate": 1e-2})  # fmt: skip
        create_folds(experiment)
        for fold in (0, 1):
            train_fold(experiment, fold)
    return directory


def load_logits(
    folder: Path, texts: list[str], model_class=MultiTaskModel
) -> dict[str, np.ndarray]:
    model = model_class.from_pretrained(folder, dtype=torch.float32).eval()
    tokens = AutoTokenizer.from_pretrained(folder)(
        texts, return_tensors="pt", padding=True, truncation=True, max_length=24
    )
    with torch.no_grad():
        logits = model(tokens["input_ids"], tokens["attention_mask"])
    return {name: values.numpy() for name, values in logits.items()}


def test_a_stored_fold_gives_the_expectation_of_its_bins(directory):
    """By ``from_pretrained``: the raw outputs of the heads, averaged by hand."""
    folder, texts = directory / "outputs/tiny/fold_0", make_frame()["text"].tolist()
    logits = load_logits(folder, texts, AutoModel)
    assert logits["main"].shape == (60, 1) and logits["aux"].shape == (60, 2)
    model = MultiTaskModel.from_pretrained(folder).train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    tokens = AutoTokenizer.from_pretrained(folder)(texts[:5], return_tensors="pt", padding=True,
                                                   truncation=True, max_length=24)  # fmt: skip
    raw = model(tokens["input_ids"], tokens["attention_mask"])
    assert raw["main"].shape == (5, 11) and raw["aux"].shape == (5, 6)
    main = (raw["main"].softmax(dim=1) * torch.linspace(0, 1, 11)).sum(dim=1)
    aux = (raw["aux"].reshape(5, 2, 3).softmax(dim=2) * torch.tensor([0, 0.5, 1])).sum(dim=2)
    sigmoid = {name: 1 / (1 + np.exp(-values[:5])) for name, values in logits.items()}
    np.testing.assert_allclose(sigmoid["main"][:, 0], main.detach(), atol=1e-5)
    np.testing.assert_allclose(sigmoid["aux"], aux.detach(), atol=1e-5)


def test_out_of_fold_predictions_are_the_expectation_and_the_loss_falls(directory):
    frame = make_frame().set_index("id")
    folder = directory / "outputs/tiny/fold_0"
    oof = pd.read_parquet(folder / "oof.parquet").set_index("id")
    logits = load_logits(folder, frame.loc[oof.index, "text"].tolist())
    np.testing.assert_allclose(oof["toxic"], 1 / (1 + np.exp(-logits["main"][:, 0])), atol=1e-5)
    np.testing.assert_allclose(
        oof[["insult", "threat"]], 1 / (1 + np.exp(-logits["aux"])), atol=1e-5
    )
    history = (folder / "history.jsonl").read_text().splitlines()
    losses = [json.loads(line)["train_loss"]["main"] for line in history]
    assert losses[-1] < losses[0]


def test_averages_bundles_and_task_labels_map_know_of_it(directory, monkeypatch):
    monkeypatch.chdir(directory)
    texts = make_frame(9, seed=3)["text"].tolist()
    folders = [directory / f"outputs/tiny/fold_{k}" for k in (0, 1)]
    logits = [load_logits(folder, texts)["main"][:, 0] for folder in folders]
    model = auxfold.load(directory / "outputs/tiny")
    mean = np.mean([1 / (1 + np.exp(-z)) for z in logits], axis=0)
    np.testing.assert_allclose(model.predict(texts)["toxic"], mean, atol=1e-5)
    by_logit = 1 / (1 + np.exp(-np.mean(logits, axis=0)))
    np.testing.assert_allclose(model.predict(texts, average="logit")["toxic"], by_logit, atol=1e-5)
    assert np.abs(mean - by_logit).max() > 1e-6
    every = model.predict(texts, tasks="all")
    assert list(every.columns) == ["toxic", "insult", "threat"]
    names = KaggleNames("ada", "auxfold tiny", "tiny-comments")
    bundle = write_bundle(Ensemble.from_folder(directory / "outputs/tiny"), names, NOTEBOOK, "fp32")
    bundled = auxfold.load(bundle / "dataset").predict(texts, tasks="all")
    np.testing.assert_allclose(bundled, every, atol=1e-6)
    MultiTaskModel.from_pretrained(folders[0], task_labels_map={"main": 1, "aux": 2})
