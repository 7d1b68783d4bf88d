"""Binary, multi-class and regression tasks in one model and one run, through the real scripts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import auxfold
from auxfold.config.experiment import to_toml
from commands import refusal_of, run_command
from conftest import make_experiment, make_frame

CLASSES = ["calm", "rude", "angry"]
TASKS = [
    {"name": "tone", "kind": "multiclass", "columns": ["tone"], "classes": CLASSES, "main": True},
    {"name": "length", "kind": "regression", "columns": ["words", "price"], "weight": 0.5},
    {"name": "subtypes", "kind": "binary", "columns": ["insult", "threat"], "weight": 0.2},
]


def make_mixed(rows: int, seed: int) -> pd.DataFrame:
    """``tone`` by what is said, partly labeled; ``words`` counts, ``price`` is in thousands."""
    frame = make_frame(rows, seed).drop(columns="toxic")
    said = [2 if "goose" in t else 1 if "silly" in t else 0 for t in frame["text"]]
    frame["tone"] = np.array(CLASSES, dtype=object)[said]
    frame.loc[frame.index[::7], "tone"] = ""
    frame["words"] = frame["text"].str.split().str.len()
    frame["price"] = 50_000 + 1_000 * frame["words"]
    frame.loc[frame.index[1::5], "price"] = np.nan
    return frame


@pytest.fixture(scope="module")
def mixed(tmp_path_factory, backbone) -> Path:
    folder = tmp_path_factory.mktemp("mixed")
    make_mixed(90, 0).to_csv(folder / "train.csv", index=False)
    test = make_mixed(40, 9)
    test[["id", "text"]].to_csv(folder / "test.csv", index=False)
    test[["id", "tone"]].to_csv(folder / "test_labels.csv", index=False)
    sample = pd.DataFrame({"id": sorted(test["id"]), **dict.fromkeys(CLASSES[::-1], 0.0)})
    sample.to_csv(folder / "sample.csv", index=False)
    data = {"train": "train.csv", "test": "test.csv", "sample_submission": "sample.csv",
            "test_labels": "test_labels.csv"}  # fmt: skip
    train = {"epochs": 4, "head_learning_rate": 1e-2}
    experiment = make_experiment("train.csv", backbone, data=data, tasks=TASKS, train=train)
    (folder / "e.toml").write_text(to_toml(experiment))
    run_command("make_folds", "--config", "e.toml", cwd=folder)
    run_command("train", "--config", "e.toml", "--fold", "all", cwd=folder)
    run_command("inference", "--config", "e.toml", cwd=folder)
    return folder


def test_every_kind_is_scored_and_reported(mixed):
    output = run_command("evaluate", "--config", "e.toml", cwd=mixed)
    record = json.loads((mixed / "outputs/tiny/cv.json").read_text())
    assert record["main"] == "tone/accuracy"
    oof = record["oof"]
    assert {"tone/f0.5", "tone/mcc", "length/mcrmse", "length/rmse/price", "subtypes/auc"} <= {*oof}
    # In its own units: a head that learned nothing would be off by the deviation or more.
    prices = pd.read_csv(mixed / "train.csv")["price"]
    assert oof["length/rmse/price"] < 1.2 * prices.std()
    assert "40 test rows" not in output, "unlabeled rows are not scored"
    rows = int((pd.read_csv(mixed / "test_labels.csv")["tone"].notna()).sum())
    assert f"{rows} test rows, tone/accuracy: ensemble" in output
    page = (mixed / "outputs/tiny/report.html").read_text()
    matrix, labels = "tone: rows by true and predicted class", "Every label of subtypes, auc"
    for title in (matrix, f"tone/accuracy on {rows} test rows", labels):
        assert title in page
    assert "words (mean ± sd)" in page and "tone_rude" in page


def test_the_submission_asks_for_classes_by_name(mixed):
    predictions = pd.read_csv(mixed / "outputs/tiny/submission.csv")
    assert list(predictions.columns) == ["id", "angry", "rude", "calm"]
    np.testing.assert_allclose(predictions[CLASSES].sum(axis=1), 1.0, atol=1e-9)
    by_fold = pd.read_parquet(mixed / "outputs/tiny/test_by_fold.parquet")
    means = by_fold.groupby("id")["tone_rude"].mean()
    np.testing.assert_allclose(predictions["rude"], means.loc[predictions["id"]], atol=1e-12)


def test_scores_of_a_file_are_those_of_its_kind(mixed):
    run_command("inference", "--config", "e.toml", "--all-tasks", "--input", "train.csv",
                "--output", "all.csv", cwd=mixed)  # fmt: skip
    train, predictions = pd.read_csv(mixed / "train.csv"), pd.read_csv(mixed / "all.csv")
    files = ("--labels", "train.csv", "--predictions", "all.csv", "--json")
    scores = json.loads(run_command("evaluate", "--config", "e.toml", *files, cwd=mixed))
    known = train["tone"].notna()
    expected = (train["tone"] == predictions["tone"])[known].mean()
    interval = scores.pop("intervals")["accuracy"]
    assert interval["method"] == "bootstrap" and interval["low"] < expected < interval["high"]
    assert scores == {"accuracy": pytest.approx(expected), "accuracy/tone": pytest.approx(expected)}
    scores = json.loads(
        run_command("evaluate", "--config", "e.toml", *files, "--metric", "mae", cwd=mixed)
    )
    assert set(scores) == {"mae", "mae/words", "mae/price", "intervals"}
    expected = (train["words"] - predictions["words"]).abs().mean()
    assert scores["mae/words"] == pytest.approx(expected)
    output = refusal_of("evaluate", "--config", "e.toml", *files, "--metric", "acuracy", cwd=mixed)
    assert "did you mean 'accuracy'" in output


def test_predictions_come_in_the_units_of_the_labels_however_they_are_asked_for(mixed):
    model = auxfold.load(mixed / "outputs/tiny")
    texts = pd.read_csv(mixed / "train.csv")["text"].tolist()
    predictions = model.predict(texts, tasks="all")
    assert (
        predictions["price"].between(40_000, 110_000).all()
        and predictions["words"].between(-9, 60).all()
    )
    assert set(predictions["tone"]) <= set(CLASSES)
    run_command("inference", "--config", "e.toml", "--all-tasks", "--input", "train.csv",
                "--output", "again.csv", cwd=mixed)  # fmt: skip
    again = pd.read_csv(mixed / "again.csv")
    np.testing.assert_allclose(predictions["price"], again["price"], rtol=1e-6)
    assert predictions["tone"].tolist() == again["tone"].tolist()


def test_a_misspelt_class_is_refused_before_training(mixed):
    frame = pd.read_csv(mixed / "train.csv")
    frame.loc[3, "tone"] = "rud"
    frame.to_csv(mixed / "broken.csv", index=False)
    output = refusal_of("make_folds", "--config", "e.toml", "--set", "data.train=broken.csv",
                        "--set", "name=broken", cwd=mixed)  # fmt: skip
    assert "column 'tone', row 4: 'rud' is none of the classes" in output
    assert not (mixed / "outputs/broken").exists()
