"""Tags and words, from a table to a submission, through the commands."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from auxfold.config.experiment import load_experiment, to_toml
from auxfold.errors import InputError
from commands import call_main, refusal_of_script, run_script
from conftest import make_experiment, make_frame

TASKS = [
    {"name": "topics", "kind": "tags", "columns": ["topics"], "empty": "no_tags", "main": True},
    {"name": "rain", "kind": "binary", "columns": ["meta.rain"]},
]


def write_table(path: str) -> pd.DataFrame:
    """Rows with the tags of their words, and an object with yes or no."""
    frame = make_frame(60)[["id", "text"]]
    words = {"goose": "birds", "soup": "food, drinks", "bread": "food, solid"}
    frame["topics"] = [
        "; ".join(tag for word, tag in words.items() if word in text.split())
        for text in frame["text"]
    ]
    frame["meta"] = [
        json.dumps({"rain": "Yes" if "rain" in text else "no"}) for text in frame["text"]
    ]
    frame.to_csv(path, index=False)
    return frame


def write_config(backbone: str, **data: object) -> list[str]:
    changes = {"tasks": TASKS, "train": {"epochs": 1}, "data": {"train": "tags.csv", **data}}
    with open("e.toml", "w") as file:
        file.write(to_toml(make_experiment("tags.csv", backbone, **changes)))
    return ["--config", "e.toml"]


def test_tags_are_learned_stored_and_written_as_the_sample_shows(work_dir, backbone, capsys):
    frame = write_table("tags.csv")
    frame.drop(columns=["topics", "meta"]).to_csv("test.csv", index=False)
    sample = frame[["id"]].assign(topics="birds; food, solid")
    sample.to_csv("sample.csv", index=False)
    config = write_config(backbone, test="test.csv", sample_submission="sample.csv")

    run_script("make_folds", *config)
    out = capsys.readouterr().out
    assert "topics: 3 tags, separated by ';': 'birds', 'food, drinks', 'food, solid'" in out
    assert "meta.rain: 'no' is read as 0 and 'yes' as 1" in out
    stored = load_experiment("outputs/tiny/experiment.toml")
    assert stored.main_task.tags == ["birds", "food, drinks", "food, solid"]

    for fold in ("0", "1"):
        run_script("train", *config, "--fold", fold)
    run_script("evaluate", *config, "--no-baseline")
    oof = pd.read_parquet("outputs/tiny/oof.parquet")
    assert {"topics", "topics_food, drinks", "topics_birds__label", "meta.rain"} <= {*oof.columns}
    assert oof["topics_birds__label"].sum() == frame["topics"].str.contains("birds").sum()

    run_script("inference", *config)
    submission = pd.read_csv("outputs/tiny/submission.csv", keep_default_na=False)
    assert submission.columns.tolist() == ["id", "topics"]
    tags = {tag for cell in submission["topics"] for tag in cell.split("; ")}
    assert tags <= {"", "birds", "food, drinks", "food, solid"}

    # A file that holds such cells is scored against another one.
    frame[["id", "topics"]].to_csv("perfect.csv", index=False)
    capsys.readouterr()
    files = ["--labels", "tags.csv", "--predictions", "perfect.csv", "--metric", "f1", "--json"]
    run_script("evaluate", *config, *files)
    scores = json.loads(capsys.readouterr().out)
    assert scores["f1"] == 1.0 and scores["f1/topics_food, solid"] == 1.0


def test_a_model_of_all_rows_learns_tags_without_folds(work_dir, backbone):
    write_table("tags.csv")
    config = write_config(backbone)
    call_main("train", *config, "--fold", "full")
    trained = load_experiment("outputs/tiny/fold_full/experiment.toml")
    assert trained.label_columns[:2] == ["topics_birds", "topics_food, drinks"]
    call_main("inference", *config, "--folds", "full", "--input", "tags.csv", "--output", "p.csv")
    columns = ["id", "topics", *trained.main_task.label_columns]
    assert pd.read_csv("p.csv").columns.tolist() == columns


def test_other_tags_need_new_folds(work_dir, backbone, capsys):
    frame = write_table("tags.csv")
    config = write_config(backbone)
    run_script("make_folds", *config)
    frame["topics"] = frame["topics"].str.replace("birds", "geese")
    frame.to_csv("tags.csv", index=False)
    assert "'geese' is none of the tags" in refusal_of_script(
        capsys, "train", *config, "--fold", "0"
    )
    with pytest.raises(InputError, match="make new folds with make_folds.py --overwrite"):
        call_main("make_folds", *config)
    call_main("make_folds", *config, "--overwrite")
    stored = load_experiment("outputs/tiny/experiment.toml")
    assert stored.main_task.tags == ["food, drinks", "food, solid", "geese"]
