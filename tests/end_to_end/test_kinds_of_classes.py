"""Ordered classes and shares of classes, from the file to the submission, through the commands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import softmax

import auxfold
from auxfold.config.experiment import to_toml
from auxfold.model.cumulative import CumulativeHead
from auxfold.model.multitask import MultiTaskModel
from commands import refusal_of_script, run_script
from conftest import make_experiment, make_frame

TASKS: list[dict] = [
    {"name": "stars", "kind": "ordinal", "columns": ["rating"], "classes": ["1", "2", "3", "4"],
     "main": True},
    {"name": "mood", "kind": "multiclass", "columns": ["joy", "fear", "anger"], "loss": "focal",
     "normalize_votes": True, "class_weight": "balanced"},
    {"name": "kind", "kind": "multiclass", "columns": ["kind"], "classes": 6,
     "class_weight": {"1": 2.0}},
]  # fmt: skip
SHARES = ["joy", "fear", "anger"]
RATINGS = [f"rating_{star}" for star in (1, 2, 3, 4)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, backbone: str) -> Path:
    """A run of two folds, evaluated."""
    folder = tmp_path_factory.mktemp("classes")
    frame, random = make_frame(80), np.random.default_rng(0)
    goose = frame["text"].str.split().apply(lambda words: words.count("goose"))
    frame["rating"] = (goose + 1).clip(upper=4).astype(object)
    frame.loc[3, "rating"] = ""
    frame[SHARES] = random.integers(0, 4, (80, 3)) + np.array([1, 0, 0])
    frame["kind"] = random.integers(0, 6, 80)
    frame.to_csv(folder / "train.csv", index=False)
    test = make_frame(30, seed=5)[["id", "text"]]
    test.to_csv(folder / "test.csv", index=False)
    test[["id"]].assign(rating="1").to_csv(folder / "sample.csv", index=False)
    experiment = make_experiment(
        "", backbone, tasks=TASKS, train={"epochs": 1, "learning_rate": 1e-2},
        data={"train": "train.csv", "test": "test.csv", "sample_submission": "sample.csv"},
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("e.toml").write_text(to_toml(experiment))
        run_script("make_folds", "--config", "e.toml")
        run_script("train", "--config", "e.toml", "--fold", "0")
        run_script("train", "--config", "e.toml", "--fold", "1")
        run_script("evaluate", "--config", "e.toml", "--no-baseline")
    return folder


@pytest.fixture(autouse=True)
def in_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run)


def test_out_of_fold_rows_have_probabilities_and_classes(run):
    oof = pd.read_parquet("outputs/tiny/oof.parquet")
    for columns in (RATINGS, SHARES):
        np.testing.assert_allclose(oof[columns].sum(axis=1), 1)
    likeliest = np.array(["1", "2", "3", "4"])[oof[RATINGS].to_numpy().argmax(axis=1)]
    assert oof["rating"].tolist() == likeliest.tolist()
    assert oof["mood"].tolist() == np.array(SHARES)[oof[SHARES].to_numpy().argmax(axis=1)].tolist()
    votes = pd.read_csv("train.csv")[SHARES]
    shares = votes.div(votes.sum(axis=1), axis=0)
    np.testing.assert_allclose(oof[[f"{c}__label" for c in SHARES]], shares, rtol=1e-6)
    assert oof["rating__label"].isna().sum() == 1


def test_scores_and_cut_points_are_in_the_record(run):
    record = json.loads(Path("outputs/tiny/cv.json").read_text())
    names = {name.split("/")[1] for name in record["oof"] if name.startswith("stars/")}
    assert names == {"qwk", "mae", "accuracy", "within_one", "log_loss"}
    assert {"kind/top5", "kind/map3"} <= set(record["oof"]) and "mood/top3" not in record["oof"]
    assert record["main"] == "stars/qwk"
    stored = json.loads(Path("outputs/tiny/postprocess.json").read_text())["columns"]["rating"]
    assert stored["thresholds"]["qwk"] == record["cut_points"]["values"]["rating"]
    assert set(record["cut_points"]["qwk"]) == {"stars"}


def test_a_loaded_fold_predicts_as_the_trained_one(run):
    model = MultiTaskModel.from_pretrained("outputs/tiny/fold_0")
    assert isinstance(model.heads["stars"], CumulativeHead)
    assert (model.heads["stars"].cut_points != 0).all()
    frame = pd.read_csv("train.csv", dtype=str).set_index("id")
    oof = pd.read_parquet("outputs/tiny/fold_0/oof.parquet").head(5)
    predicted = auxfold.load("outputs/tiny/fold_0").predict(frame.loc[oof["id"], "text"].tolist())
    np.testing.assert_allclose(predicted[RATINGS], oof[RATINGS], atol=1e-6)


def test_the_model_has_the_loss_of_ratings_and_shares(run):
    model = MultiTaskModel.from_pretrained("outputs/tiny/fold_0").eval()
    inputs = {"input_ids": torch.tensor([[2, 5, 3], [2, 6, 3]])}
    output = model(**inputs, task_name="stars", labels=torch.tensor([1, 3]))
    expected = -torch.log_softmax(output.logits, dim=1)[[0, 1], [1, 3]].mean()
    torch.testing.assert_close(output.loss, expected)
    shares = torch.tensor([[0.5, 0.25, 0.25], [float("nan")] * 3])
    one_row = model(**inputs, task_name="mood", labels=shares).loss
    assert one_row.isfinite() and one_row > 0


def test_a_submission_holds_the_class_or_its_cut_points_decision(run):
    run_script("inference", "--config", "e.toml")
    submission = pd.read_csv("outputs/tiny/submission.csv", dtype=str)
    new_rows = ["--config", "e.toml", "--input", "test.csv", "--output"]
    run_script("inference", *new_rows, "all.csv")
    whole = pd.read_csv("all.csv", dtype={"rating": str})
    assert submission["rating"].tolist() == whole["rating"].tolist()
    run_script("inference", *new_rows, "cut.csv", "--threshold", "qwk")
    decided = pd.read_csv("cut.csv", dtype={"rating": str})
    stored = json.loads(Path("outputs/tiny/postprocess.json").read_text())["columns"]["rating"]
    scores = whole[RATINGS].to_numpy() @ np.arange(4)
    numbers = np.searchsorted(stored["thresholds"]["qwk"]["cut_points"], scores, side="right")
    assert decided["rating"].tolist() == [str(number + 1) for number in numbers]
    np.testing.assert_array_equal(decided[RATINGS], numbers[:, None] == np.arange(4))


def test_released_labels_are_scored(run, capsys):
    labels = pd.read_csv("train.csv", dtype=str)
    labels[["id", "rating", *SHARES]].head(30).to_csv("labels.csv", index=False)
    options = ["--config", "e.toml", "--labels", "labels.csv", "--predictions"]
    oof = pd.read_parquet("outputs/tiny/oof.parquet")
    run_script("evaluate", *options, "outputs/tiny/oof.parquet", "--metric", "qwk", "--json")
    assert set(json.loads(capsys.readouterr().out.splitlines()[-1])) >= {"qwk", "qwk/rating"}
    run_script("evaluate", *options, "outputs/tiny/oof.parquet", "--metric", "log_loss", "--json")
    scores = json.loads(capsys.readouterr().out.splitlines()[-1])
    votes = labels[SHARES].head(30).astype(float)
    shares = votes.div(votes.sum(axis=1), axis=0).to_numpy()
    logs = np.log(oof.set_index("id").loc[labels["id"].head(30), SHARES].to_numpy())
    assert scores["log_loss/mood"] == pytest.approx(-(shares * logs).sum(axis=1).mean())
    assert not any(name.endswith(("/joy", "/fear", "/anger")) for name in scores)


def test_thresholds_of_other_kinds_are_refused(run, capsys):
    options = ["--config", "e.toml", "--output", "no.csv"]
    message = refusal_of_script(capsys, "inference", *options, "--threshold", "f1")
    assert "'f1': stored are qwk for task 'stars'" in message
    message = refusal_of_script(
        capsys, "inference", *options, "--task", "mood", "--threshold", "qwk"
    )
    assert "task 'mood' is a multiclass task" in message and "cut points for ordinal" in message


def test_softmax_of_the_logits_are_the_probabilities(run):
    model = MultiTaskModel.from_pretrained("outputs/tiny/fold_0").eval()
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[2, 5, 3]]), task="stars").numpy()
    np.testing.assert_allclose(softmax(logits, axis=1), np.exp(logits), rtol=1e-5)
