"""Texts that are longer than the model are trained on and predicted window by window."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import auxfold
from auxfold.cli import inference
from auxfold.config.experiment import Experiment, to_toml
from auxfold.data.dataset import TokenizedDataset, tokenize_dataset
from auxfold.inference.predict import predict_logits
from auxfold.model.backbone import build_model
from auxfold.model.tokenizer import load_tokenizer
from auxfold.training.dry_run import plan_fold
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from conftest import assert_resumes_exactly, make_experiment, make_frame

WINDOWS = {"max_length": 9, "truncation": "windows", "window_stride": 3}
LONG = ["the garden is good bad rain soup not a train was silly", "goose", ""]


def make_windows_experiment(backbone: str, name: str = "tiny", **changes) -> Experiment:
    model = {**WINDOWS, **changes.pop("model", {})}
    return make_experiment("train.csv", backbone, name=name, model=model, **changes)


def tokenize(backbone: str, texts: list[str], **settings) -> TokenizedDataset:
    model = make_experiment("t", backbone, model=settings).model
    return tokenize_dataset([texts], load_tokenizer(model), model)


@pytest.mark.parametrize("packed", [False, True], ids=["padded", "packed"])
@pytest.mark.parametrize("reduction", ["mean", "max"])
def test_every_window_is_predicted(backbone, reduction, packed):
    dataset = tokenize(backbone, LONG, **WINDOWS, window_reduction=reduction)
    assert dataset.n_windows().tolist() == [3, 1, 1]
    words = LONG[0].split()
    parts = [" ".join(words[start : start + 7]) for start in (0, 3, 5)]
    torch.manual_seed(1)
    model = build_model(make_experiment("t", backbone), {"main": 1, "aux": 2}).eval()
    options = {"tasks": ["main", "aux"], "max_tokens": 20, "amp_dtype": "fp32"}
    alone = predict_logits(
        model, tokenize(backbone, [*parts, *LONG[1:]], max_length=9), np.arange(5), **options
    )
    counts: list[int] = []
    order = np.array([2, 0, 1, 0])
    logits = predict_logits(model, dataset, order, **options, packed=packed, on_batch=counts.append)
    assert sum(counts) == 4
    for name, values in alone.items():
        together = getattr(np, reduction)(values[:3], axis=0)
        expected = np.stack([values[4], together, values[3], together])
        np.testing.assert_allclose(logits[name], expected, atol=1e-6)
        assert np.ptp(values[:3], axis=0).max() > 1e-3


def test_a_row_has_one_random_window_in_every_epoch(backbone):
    dataset = tokenize(backbone, [LONG[0]] * 300 + ["goose"], **WINDOWS)
    first, again, second = (dataset.sample_windows(7, epoch) for epoch in (0, 0, 1))
    assert (first == again).all() and first[300] == second[300] == 0
    for windows in (first, second):
        assert np.bincount(windows[:300]).min() > 70
    assert 0.5 < (first != second)[:300].mean() < 0.8
    assert tokenize(backbone, ["goose"], **WINDOWS).sample_windows(7, 0) is None
    assert tokenize(backbone, LONG, max_length=9).sample_windows(7, 0) is None


def test_training_reads_the_windows_of_the_epoch(work_dir, backbone, monkeypatch):
    experiment = make_windows_experiment(backbone)
    create_folds(experiment)
    batches: list[tuple] = []
    batch = TokenizedDataset.batch

    def record(self, indices, swapped=False, windows=0):
        if not isinstance(windows, int) and torch.is_grad_enabled():
            batches.append((self, indices, windows))
        return batch(self, indices, swapped, windows)

    monkeypatch.setattr(TokenizedDataset, "batch", record)
    folder = train_fold(experiment, 0)
    dataset = batches[0][0]
    rows = np.concatenate([indices for _, indices, _ in batches])
    windows = np.concatenate([numbers for _, _, numbers in batches])
    assert len(rows) == 2 * len(np.unique(rows)), "every row once in each of two epochs"
    per_epoch = np.split(np.arange(len(rows)), 2)
    for epoch, part in enumerate(per_epoch):
        expected = dataset.sample_windows(experiment.seed, epoch)
        np.testing.assert_array_equal(windows[part], expected[rows[part]])
    assert windows.max() > 3
    # The fold's score is of whole rows: the mean over their windows.
    frame = pd.read_csv("train.csv").set_index("id")
    oof = pd.read_parquet(folder.oof).set_index("id")
    model = auxfold.load(str(folder.path))
    texts = frame.loc[oof.index, "text"]
    np.testing.assert_allclose(model.predict(texts)["toxic"], oof["toxic"], atol=1e-6)
    without = make_windows_experiment(backbone, model={"truncation": "head", "window_stride": None})
    head = tokenize_dataset([texts.tolist()], model.tokenizer, without.model)
    logits = predict_logits(
        model.models[0][0], head, np.arange(len(texts)), tasks=["main"], max_tokens=500,
        amp_dtype="fp32",
    )["main"]  # fmt: skip
    assert np.abs(1 / (1 + np.exp(-logits[:, 0])) - oof["toxic"]).max() > 1e-4


def test_a_resumed_training_reads_the_same_windows(work_dir, backbone, monkeypatch):
    experiment = make_windows_experiment(backbone)
    create_folds(experiment)
    assert_resumes_exactly(experiment, monkeypatch, step=6)


def test_the_command_and_the_dry_run_know_windows(work_dir, backbone):
    experiment = make_windows_experiment(
        backbone, folds={"n_splits": 2}, data={"train": "train.csv", "test": "test.csv"}
    )
    make_frame(9, seed=4)[["id", "text"]].to_csv("test.csv", index=False)
    (work_dir / "e.toml").write_text(to_toml(experiment))
    create_folds(experiment)
    assert "and read in windows, " in "\n".join(plan_fold(experiment, 0))
    for fold in (0, 1):
        train_fold(experiment, fold)
    inference.main(["--config", "e.toml"])
    submission = pd.read_csv("outputs/tiny/submission.csv")
    expected = auxfold.load("outputs/tiny").predict(pd.read_csv("test.csv"))
    np.testing.assert_allclose(submission["toxic"], expected["toxic"], atol=1e-6)
    card = (work_dir / "outputs/tiny/fold_0/README.md").read_text()
    assert "Texts with more than 9 tokens are read in overlapping windows" in card
