"""``--spreadsheet-safe``: what a spreadsheet would compute has a quote; a submission never has."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from auxfold.config.experiment import to_toml
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from commands import call_main, refusal_of_script, run_script
from conftest import make_experiment, make_frame

CLASSES = ["=1+1", "good"]


@pytest.fixture(scope="module")
def trained_dir(tmp_path_factory, backbone) -> Path:
    """One trained fold of an experiment with a class that is a formula, and rows to predict."""
    folder = tmp_path_factory.mktemp("classes")
    frame = make_frame(40)
    frame["mood"] = ["=1+1", "good"] * 20
    frame.to_csv(folder / "train.csv", index=False)
    rows = frame[["id", "text"]].head(4).assign(id=["-1", "@x", "b", "c"])
    rows.to_csv(folder / "rows.csv", index=False)
    rows.assign(mood="good")[["id", "mood"]].to_csv(folder / "sample.csv", index=False)
    task = {"name": "main", "kind": "multiclass", "columns": ["mood"], "classes": CLASSES}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        experiment = make_experiment(
            "train.csv", backbone, tasks=[{**task, "main": True}], train={"epochs": 1},
            data={"train": "train.csv", "test": "rows.csv", "sample_submission": "sample.csv"},
        )  # fmt: skip
        create_folds(experiment)
        train_fold(experiment, 0)
        Path("e.toml").write_text(to_toml(experiment))
    return folder


def test_predictions_of_rows_are_guarded_on_request(trained_dir, monkeypatch, capsys):
    monkeypatch.chdir(trained_dir)
    files = ("--config", "e.toml", "--folds", "0", "--input", "rows.csv", "--output")
    call_main("inference", *files, "plain.csv")
    call_main("inference", *files, "safe.csv", "--spreadsheet-safe")
    plain, safe = (pd.read_csv(f"{name}.csv", dtype=str) for name in ("plain", "safe"))
    assert plain["id"].tolist() == ["-1", "@x", "b", "c"]
    assert safe["id"].tolist() == ["'-1", "'@x", "b", "c"]
    assert safe["mood"].tolist() == plain["mood"].replace("=1+1", "'=1+1").tolist()
    numbers = [column for column in plain if column not in ("id", "mood")]
    assert len(numbers) == 2
    assert safe[numbers].equals(plain[numbers])
    assert "texts begin like a formula and have a ' in front" in capsys.readouterr().out


def test_a_submission_and_other_files_are_refused(trained_dir, monkeypatch, capsys):
    monkeypatch.chdir(trained_dir)
    run = ("inference", "--config", "e.toml", "--folds", "0", "--spreadsheet-safe")
    line = refusal_of_script(capsys, *run)
    assert "a submission needs those of data.sample_submission" in line
    assert not Path("outputs/tiny/submission.csv").exists()
    line = refusal_of_script(capsys, *run, "--input", "rows.csv", "--output", "o.parquet")
    assert "--spreadsheet-safe is for .csv files; --output o.parquet is none" in line
    line = refusal_of_script(capsys, *run, "--text", "a garden")
    assert "--spreadsheet-safe has no effect with --text" in line
    line = refusal_of_script(capsys, "blend", "--runs", "a,b", "--spreadsheet-safe")
    assert "--spreadsheet-safe has no effect with --runs" in line


def test_a_blend_of_files_is_guarded_on_request(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        pd.DataFrame({"id": ["=1", "x"], "y": [0.5, 0.25]}).to_csv(f"{name}.csv", index=False)
    arguments = ("--predictions", "a.csv,b.csv", "--output", "o.csv", "--spreadsheet-safe")
    run_script("blend", *arguments)
    assert Path("o.csv").read_text() == '"id","y"\n"\'=1",0.5\n"x",0.25\n'
