"""Two data sets with labels of their own, one model, through the real scripts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from transformers import AutoTokenizer

from auxfold.config.experiment import to_toml
from auxfold.errors import InputError
from auxfold.model.multitask import MultiTaskModel
from commands import refusal_of, run_command
from conftest import make_experiment, make_frame

CLASSES = ["calm", "rude", "angry"]
TASKS = [
    {"name": "tone", "kind": "multiclass", "columns": ["tone"], "classes": CLASSES, "main": True},
    {"name": "threats", "kind": "binary", "columns": ["threat"]},
]
SOURCES = [
    {"path": "tone/train.csv", "rename": {"label": "tone"}},
    {"path": "threats/train.tsv", "rename": {"label": "threat"}},
]


def make_tone(rows: int, seed: int) -> pd.DataFrame:
    frame = make_frame(rows, seed)
    said = [2 if "goose" in t else 1 if "silly" in t else 0 for t in frame["text"]]
    return frame[["id", "text"]].assign(label=np.array(CLASSES, dtype=object)[said])


@pytest.fixture(scope="module")
def trained_dir(tmp_path_factory, backbone) -> Path:
    """A directory in which every command has run."""
    trained_dir = tmp_path_factory.mktemp("several")
    for folder in ("tone", "threats"):
        (trained_dir / folder).mkdir()
    make_tone(60, 0).to_csv(trained_dir / "tone/train.csv", index=False)
    make_tone(30, 9).drop(columns="label").to_csv(trained_dir / "tone/test.csv", index=False)
    threats = make_frame(30, 1)[["id", "text", "threat"]].rename(columns={"threat": "label"})
    threats.to_csv(trained_dir / "threats/train.tsv", sep="\t", index=False)
    data = {"train": SOURCES, "test": "tone/test.csv"}
    train = {"batches": "homogeneous", "sampling": "sqrt", "batch_size": 8}
    model = {"pooling": "pooler"}
    predictions = make_experiment("", backbone, data=data, tasks=TASKS, train=train, model=model)
    (trained_dir / "e.toml").write_text(to_toml(predictions))
    output = run_command("make_folds", "--config", "e.toml", cwd=trained_dir)
    assert "90 rows of tone/train.csv + threats/train.tsv" in output
    assert "tone: 60 rows with labels of tone" in output
    assert "threats: 30 rows with labels of threat" in output
    run_command("train", "--config", "e.toml", "--fold", "all", cwd=trained_dir)
    run_command("inference", "--config", "e.toml", cwd=trained_dir)
    run_command("evaluate", "--config", "e.toml", cwd=trained_dir)
    return trained_dir


def test_every_task_is_scored_on_its_own_rows(trained_dir):
    oof = pd.read_parquet(trained_dir / "outputs/tiny/oof.parquet").set_index("id")
    assert len(oof) == 90 and sum(i.startswith("tone/") for i in oof.index) == 60
    record = json.loads((trained_dir / "outputs/tiny/cv.json").read_text())
    truth = pd.read_csv(trained_dir / "tone/train.csv", dtype=str).set_index("id")["label"]
    predicted = oof.loc["tone/" + truth.index, "tone"].to_numpy()
    assert record["oof"]["tone/accuracy"] == pytest.approx((predicted == truth).mean())
    assert record["oof"]["threats/auc"] is not None
    page = (trained_dir / "outputs/tiny/report.html").read_text()
    assert "<th>rows of tone</th><th>rows of threats</th>" in page


def test_released_labels_may_be_called_as_in_the_file_that_was_trained_on(trained_dir):
    make_tone(30, 9).to_csv(trained_dir / "released.csv", index=False)
    labels = ("--labels", "released.csv", "--predictions")
    output = run_command("evaluate", "--config", "e.toml", *labels, "outputs/tiny/submission.csv",
                         "--json", cwd=trained_dir)  # fmt: skip
    truth = make_tone(30, 9)["label"]
    predicted = pd.read_csv(trained_dir / "outputs/tiny/submission.csv")["tone"]
    expected = (truth == predicted).mean()
    assert json.loads(output)["accuracy/tone"] == pytest.approx(expected)
    run_command(
        "inference", "--config", "e.toml", "--all-tasks", "--output", "every.csv", cwd=trained_dir
    )
    output = refusal_of("evaluate", "--config", "e.toml", *labels, "every.csv", cwd=trained_dir)
    assert "column 'label' may stand for tone or threat" in output and "--task" in output


def test_a_task_or_all_of_them_can_be_asked_for(trained_dir):
    outputs = trained_dir / "outputs/tiny"
    assert "tone" in pd.read_csv(outputs / "submission.csv").columns
    run_command("inference", "--config", "e.toml", "--task", "threats", cwd=trained_dir)
    predictions = pd.read_csv(outputs / "predictions_threats.csv")
    assert (
        list(predictions.columns) == ["id", "threat"] and predictions["threat"].between(0, 1).all()
    )
    run_command(
        "inference", "--config", "e.toml", "--all-tasks", "--output", "all.csv", cwd=trained_dir
    )
    every = pd.read_csv(trained_dir / "all.csv")
    assert list(every.columns) == ["id", "tone", *(f"tone_{name}" for name in CLASSES), "threat"]
    np.testing.assert_allclose(every["threat"], predictions["threat"], atol=1e-9)
    output = refusal_of("inference", "--config", "e.toml", "--task", "thraets", cwd=trained_dir)
    assert "no task 'thraets' (did you mean 'threats'?); tasks: tone, threats" in output


def test_a_fold_is_a_model_with_routed_heads(trained_dir):
    fold = trained_dir / "outputs/tiny/fold_0"
    model = MultiTaskModel.from_pretrained(fold, task_labels_map={"tone": 3, "threats": 1})
    texts = pd.read_csv(trained_dir / "tone/test.csv")["text"].tolist()
    tokens = AutoTokenizer.from_pretrained(fold)(
        texts, return_tensors="pt", padding=True, truncation=True, max_length=24
    )
    logits = model(tokens["input_ids"], tokens["attention_mask"], task="threats")
    run_command("inference", "--config", "e.toml", "--task", "threats", "--folds", "0",
                "--output", "one.csv", cwd=trained_dir)  # fmt: skip
    predictions = pd.read_csv(trained_dir / "one.csv")["threat"]
    np.testing.assert_allclose(logits.sigmoid()[:, 0].detach(), predictions, atol=1e-5)
    with pytest.raises(InputError, match="asked for are tone"):
        MultiTaskModel.from_pretrained(fold, task_labels_map={"tone": 3, "threats": 2})


def test_the_dry_run_tells_rows_and_steps_of_the_sources(trained_dir):
    output = run_command("train", "--config", "e.toml", "--fold", "0", "--dry-run", cwd=trained_dir)
    sources = next(line for line in output.splitlines() if line.startswith("sources"))
    # 30 and 15 rows to train on; 45 in shares of their square roots: 26.4 and 18.6.
    assert sources == (
        "sources    tone 30 (26 an epoch), threats 15 (19 an epoch); "
        "sampled by sqrt, homogeneous steps"
    )
    assert "14 of 8 rows: 2 epochs of 7" in output, "4 steps of tone, 3 of threats"
    settings = ("--set", "train.sampling=size", "--set", "train.batches=mixed")
    output = run_command("train", "--config", "e.toml", "--fold", "0", "--dry-run", *settings,
                         cwd=trained_dir)  # fmt: skip
    assert "tone 30, threats 15; sampled by size, mixed steps" in output
    assert "12 of 8 rows: 2 epochs of 6" in output


def test_a_source_is_changed_from_the_command_line(trained_dir):
    trial = ("--config", "e.toml", "--rows", "60", "--set", "train.epochs=1")
    output = run_command("make_folds", *trial, cwd=trained_dir)
    assert "tone: 40 rows" in output and "threats: 20 rows" in output
    for setting, expected in (
        ("data.train.1.path=thraets.tsv", "no file thraets.tsv"),
        ("data.train.1.rename={label = 'tone'}", "no source of data.train has column 'threat'"),
        ("data.train.1.rename={labl = 'threat'}", "no column 'labl' to rename"),
        ("data.train.1.nmae=x", "unknown key 'data.train.1.nmae' (did you mean 'name'?)"),
    ):
        output = refusal_of("make_folds", "--config", "e.toml", "--set", setting, cwd=trained_dir)
        assert expected in output
    alone = ("--set", "train.batches=mixed", "--set", "train.sampling=size", "--set", "name=one")
    output = refusal_of("make_folds", "--config", "e.toml", *alone, "--set",
                        "data.train=tone/train.csv", cwd=trained_dir)  # fmt: skip
    assert "tone/train.csv has no column 'tone'" in output
