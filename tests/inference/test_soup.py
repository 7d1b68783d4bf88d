"""A soup has the mean of the folds' weights, and is one model wherever folds predict."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

import auxfold
from auxfold.config.experiment import to_toml
from auxfold.data.loading import read_prediction_table
from auxfold.errors import InputError
from auxfold.inference.ensemble import Ensemble
from auxfold.inference.soup import check_soup, make_soup
from auxfold.kaggle.bundle import write_bundle
from auxfold.kaggle.kernel import predict as predict_on_kaggle
from auxfold.kaggle.names import KaggleNames
from auxfold.model.multitask import MultiTaskModel
from auxfold.storage.checksums import write_checksums
from auxfold.storage.run_folder import FoldFolder, RunFolder
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from commands import call_main
from conftest import make_experiment, make_frame

SOUP = {"average": "soup"}
NOTEBOOK = Path(__file__).parents[2] / "notebooks/kaggle_inference.ipynb"


def train(backbone: str, name: str, **changes):
    train_settings = {"epochs": 1, "learning_rate": 1e-2}
    data = {"train": "train.csv", "test": "test.csv", "test_labels": "test.csv",
            "sample_submission": "sample.csv"}  # fmt: skip
    experiment = make_experiment(
        "train.csv", backbone, name=name, data=data, train=train_settings, **changes
    )
    create_folds(experiment)
    for fold in experiment.folds.names:
        train_fold(experiment, fold)
    return experiment


@pytest.fixture(scope="module")
def outputs(tmp_path_factory, backbone):
    """A plain run, one with LoRA, and one with a number whose scale differs between the folds."""
    workdir = tmp_path_factory.mktemp("soup")
    frame = make_frame(40)
    frame["stars"] = np.arange(40) / 3
    frame.to_csv(workdir / "train.csv", index=False)
    test = make_frame(25, seed=5)
    test.to_csv(workdir / "test.csv", index=False)
    test[["id"]].assign(toxic=0.5).to_csv(workdir / "sample.csv", index=False)
    model = {"backbone": backbone, "max_length": 24}
    stars = [{"name": "main", "kind": "regression", "columns": ["stars"], "main": True}]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workdir)
        train(backbone, "tiny", inference=SOUP)
        train(backbone, "lora", model={**model, "adapter": {"kind": "lora"}})
        train(backbone, "stars", tasks=stars, selection={"metric": "main/rmse"})
    return workdir / "outputs"


@pytest.fixture
def workdir(outputs, monkeypatch) -> Path:
    monkeypatch.chdir(outputs.parent)
    return outputs.parent


def fold_folders(name: str) -> list[FoldFolder]:
    return [RunFolder.named(name).fold(fold) for fold in (0, 1)]


def load(folder: FoldFolder) -> MultiTaskModel:
    return MultiTaskModel.from_pretrained(folder.path, dtype=torch.float32).eval()


def test_every_weight_is_the_mean_of_those_of_the_folds(workdir):
    soup = make_soup(fold_folders("tiny")).state_dict()
    first, second = (load_file(f.path / "model.safetensors") for f in fold_folders("tiny"))
    assert set(soup) == set(first)
    for name, values in soup.items():
        torch.testing.assert_close(values, (first[name] + second[name]) / 2)
    assert not torch.equal(first["heads.main.weight"], second["heads.main.weight"])


def test_lora_is_merged_before_and_not_averaged_factor_by_factor(workdir):
    soup = make_soup(fold_folders("lora"))
    merged = [load(folder).merge() for folder in fold_folders("lora")]
    name = "backbone.encoder.layer.0.attention.self.query.weight"
    first, second = (model.state_dict()[name] for model in merged)
    assert not torch.equal(first, second) and soup.config.adapter is None
    torch.testing.assert_close(soup.state_dict()[name], (first + second) / 2)


def test_heads_of_numbers_are_averaged_in_the_units_of_the_numbers(workdir):
    models = [load(folder) for folder in fold_folders("stars")]
    scales = [model.config.scales["main"] for model in models]
    assert scales[0] != scales[1]
    soup, features = make_soup(fold_folders("stars")), torch.randn(3, 16)
    with torch.no_grad():
        expected = sum(model.head_logits("main", features) for model in models) / 2
        torch.testing.assert_close(soup.head_logits("main", features), expected)


def test_the_soup_predicts_wherever_folds_do(workdir, capsys):
    ensemble = Ensemble.from_folder("outputs/tiny")
    table, rows = read_prediction_table(ensemble.experiment, "test.csv"), pd.read_csv("test.csv")
    model = make_soup(ensemble.folders)
    predictor = auxfold.load("outputs/tiny")
    assert len(predictor.models[0]) == 1, "one model is in memory"
    expected = predictor.predict(rows, tasks="all")
    mean = auxfold.load("outputs/tiny", average="probability").predict(rows, tasks="all")
    assert 1e-7 < np.abs(expected - mean).to_numpy().max() < 0.05

    dataset = ensemble._tokenize(table)
    with torch.no_grad():
        logits = torch.cat([model(**dataset.batch(np.array([row])))["main"] for row in range(25)])
    np.testing.assert_allclose(expected["toxic"], logits.sigmoid()[:, 0], atol=1e-6)

    predictions = ensemble.predict(table, ensemble.tasks, "soup", show=False)
    np.testing.assert_allclose(predictions["main"][:, 0], expected["toxic"], atol=1e-6)
    Path("tiny.toml").write_text(to_toml(ensemble.experiment))
    call_main("inference", "--config", "tiny.toml")
    assert "25 rows, the weights of 2 models averaged: outputs/tiny/sub" in capsys.readouterr().out
    submission = pd.read_csv("outputs/tiny/submission.csv")
    np.testing.assert_allclose(submission["toxic"], expected["toxic"], atol=1e-6)
    assert submission["id"].tolist() == rows["id"].tolist()
    call_main("inference", "--config", "tiny.toml", "--text", rows["text"][0])
    assert f"{expected['toxic'][0]:.6f}"[:6] in capsys.readouterr().out


@pytest.mark.usefixtures("forked_workers")
def test_on_kaggle_the_soup_is_one_fold(workdir, tmp_path):
    ensemble = Ensemble.from_folder("outputs/tiny")
    names = KaggleNames("owner", "A Tiny Soup", "competition")
    folder = write_bundle(ensemble, names, NOTEBOOK, "fp32", overwrite=True)
    manifest = json.loads((folder / "dataset/auxfold_manifest.json").read_text())
    assert manifest["folds"] == ["fold_soup"] and manifest["runs"] == {".": ["fold_soup"]}
    assert not (folder / "dataset/fold_0").exists()
    submission, folds = predict_on_kaggle(
        folder / "dataset", Path("test.csv"), Path("sample.csv"), hours=1, devices=["cpu"]
    )
    assert folds == ["fold_soup"]
    expected = auxfold.load("outputs/tiny").predict(pd.read_csv("test.csv"))
    np.testing.assert_allclose(submission["toxic"], expected["toxic"], atol=1e-6)


def test_its_score_is_next_to_that_of_the_ensemble(workdir, capsys):
    call_main("inference", "--run", "tiny", "--set", "inference.average=probability")
    call_main("inference", "--run", "tiny")
    capsys.readouterr()
    call_main("evaluate", "--run", "tiny", "--no-baseline")
    output = capsys.readouterr().out
    record = json.loads(Path("outputs/tiny/cv.json").read_text())["test"]
    truth = pd.read_csv("test.csv")["toxic"] >= 0.5
    soup = pd.read_parquet("outputs/tiny/test_by_soup.parquet")["toxic"]
    wins = [(p > n) + (p == n) / 2 for p in soup[truth] for n in soup[~truth]]
    assert record["soup"] == pytest.approx(np.mean(wins)) and list(record["scores"]) == ["1", "2"]
    ensemble = record["scores"]["2"][0]
    assert f"ensemble {ensemble:.4f}, soup of the folds {record['soup']:.4f}, single" in output
    assert "their soup (inference.average = 'soup') has seen every row of them" in output
    Path("outputs/tiny/test_by_fold.parquet").unlink()
    call_main("evaluate", "--run", "tiny", "--no-baseline")
    assert f"main/auc: soup of the folds {record['soup']:.4f}" in capsys.readouterr().out


def test_a_blend_takes_the_soup_of_a_run(workdir):
    call_main("blend", "--runs", "outputs/tiny,outputs/lora", "--name", "both", "--method", "mean")
    rows = pd.read_csv("test.csv")
    members = [auxfold.load(f"outputs/{name}").predict(rows)["toxic"] for name in ("tiny", "lora")]
    blend = auxfold.load("outputs/both")
    assert [len(p.models[0]) for p in blend.predictors.values()] == [1, 2]
    np.testing.assert_allclose(blend.predict(rows)["toxic"], sum(members) / 2, atol=1e-6)
    call_main("inference", "--blend", "outputs/both")
    submission = pd.read_csv("outputs/both/submission.csv")
    np.testing.assert_allclose(submission["toxic"], sum(members) / 2, atol=1e-6)
    with pytest.raises(InputError, match="leave out folds and average"):
        auxfold.load("outputs/both", average="soup")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({"pooling": "attention"}, "with model.pooling = 'attention' each of them starts from oth"),
        ({"adapter": {"kind": "pfeiffer"}}, "with model.adapter.kind = 'pfeiffer' each of them"),
        ({"adapter": {"kind": "prefix"}}, "with model.adapter.kind = 'prefix' each of them"),
    ],
)
def test_weights_without_a_mean_are_refused(model, expected):
    with pytest.raises(InputError, match=f"inference.average = 'soup' averages .*{expected}"):
        make_experiment("t", "b", model={"backbone": "b", **model}, inference=SOUP)
    with pytest.raises(InputError, match=expected):
        check_soup(make_experiment("t", "b", model={"backbone": "b", **model}))


def test_a_soup_is_chosen_by_loading_it(workdir):
    with pytest.raises(
        InputError, match=r"each fold's model was loaded; give auxfold.load\(…, average='soup'"
    ):
        auxfold.load("outputs/tiny", average="logit").predict("goose", average="soup")
    with pytest.raises(InputError, match=r"average = 'logit': a soup was loaded"):
        auxfold.load("outputs/tiny").predict("goose", average="logit")


def test_other_tensors_and_buffers_are_refused(workdir, tmp_path):
    folders = [FoldFolder(tmp_path / f"fold_{fold}") for fold in (0, 1)]
    for folder, source in zip(folders, fold_folders("tiny"), strict=True):
        shutil.copytree(source.path, folder.path)
    config = json.loads((folders[1].path / "config.json").read_text())
    config["heads"]["aux"] = 3
    (folders[1].path / "config.json").write_text(json.dumps(config))
    weights = load_file(folders[1].path / "model.safetensors")
    weights["heads.aux.weight"], weights["heads.aux.bias"] = torch.zeros(3, 16), torch.zeros(3)
    save_file(weights, folders[1].path / "model.safetensors", metadata={"format": "pt"})
    write_checksums(folders[1].path, ["config.json", "model.safetensors"])
    with pytest.raises(InputError, match="have other heads or backbones; their weights cannot be"):
        make_soup(folders)
