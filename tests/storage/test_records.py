"""Schema numbers of records: folders of another version are refused as such, on every way in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import auxfold
from auxfold.config.experiment import to_toml
from auxfold.errors import InputError
from auxfold.storage.atomic import read_json, write_json
from auxfold.storage.records import SCHEMA, read_record, write_record
from commands import refusal_of_script, run_script
from conftest import make_experiment, make_frame

FIXTURES = Path(__file__).parents[1] / "fixtures"
RUN = "outputs/old_run"


@pytest.fixture
def old_run(work_dir: Path, backbone: str) -> Path:
    """A run of version 0.1, and the same experiment in the keys of this version."""
    shutil.copytree(FIXTURES / "run_0.1", work_dir / RUN)
    shutil.copytree(FIXTURES / "run_0.1", work_dir / "outputs/old_too")
    data = {"train": "train.csv", "test": "train.csv", "sample_submission": "train.csv"}
    experiment = make_experiment("train.csv", backbone, name="old_run", data=data)
    Path("e.toml").write_text(to_toml(experiment))
    make_frame().to_csv("train.csv", index=False)
    return work_dir / RUN


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("make_folds", ["--config", "e.toml"]),
        ("train", ["--config", "e.toml", "--fold", "0"]),
        ("train", ["--config", "e.toml", "--fold", "0", "--resume"]),
        ("train", ["--config", "e.toml", "--fold", "1", "--overwrite"]),
        ("train", ["--run", "old_run", "--fold", "all", "--resume"]),
        ("evaluate", ["--config", "e.toml"]),
        ("evaluate", ["--run", "old_run"]),
        ("inference", ["--config", "e.toml", "--folds", "0"]),
        ("inference", ["--run", "old_run"]),
        ("merge", ["--config", "e.toml", "--folds", "0", "--output", "merged"]),
        ("bundle_kaggle", ["--run", "old_run", "--owner", "me", "--competition", "c"]),
        (
            "bundle_kaggle",
            ["--config", "e.toml", "--folds", "0", "--owner", "me", "--competition", "c"],
        ),
        ("blend", ["--runs", "old_run,old_too"]),
    ],
)
def test_commands_refuse_a_run_of_version_0_1(old_run, capsys, name, arguments):
    if name == "evaluate":  # all folds are needed there
        shutil.copytree(old_run / "fold_0", old_run / "fold_1")
    line = refusal_of_script(capsys, name, *arguments)
    assert "was written by auxfold 0.1; train it again, or use auxfold 0.1 for it" in line
    assert RUN in line


@pytest.mark.parametrize("folder", [RUN, f"{RUN}/fold_0"])
def test_load_refuses_a_run_of_version_0_1(old_run, folder):
    with pytest.raises(InputError, match=r"old_run.* was written by auxfold 0\.1; train it again"):
        auxfold.load(folder)


def test_a_blend_of_version_0_1_is_refused(old_run, capsys):
    write_json(Path("outputs/mix/blend.json"), {"members": [], "weights": {}})
    message = r"outputs/mix was written by auxfold 0\.1; blend its runs again"
    with pytest.raises(InputError, match=message):
        auxfold.load("outputs/mix")
    line = refusal_of_script(capsys, "inference", "--blend", "outputs/mix", "--input", "train.csv",
                          "--output", "p.csv")  # fmt: skip
    assert "outputs/mix was written by auxfold 0.1" in line


def test_new_folds_and_a_new_training_replace_an_old_run(old_run, capsys):

    run_script("make_folds", "--config", "e.toml", "--overwrite")
    run_script("train", "--config", "e.toml", "--fold", "0", "--overwrite")
    assert read_json(old_run / "folds.json")["schema"] == SCHEMA
    assert read_json(old_run / "fold_0/run.json")["schema"] == SCHEMA


def test_a_record_of_a_newer_version_is_refused(tmp_path):
    path = tmp_path / "fold_0/run.json"
    write_json(path, {"schema": SCHEMA + 1})
    with pytest.raises(InputError, match=rf"fold_0 was .* newer auxfold \(schema {SCHEMA + 1}, "):
        read_record(path)


def test_a_record_is_what_was_written_after_its_schema(tmp_path):
    write_record(tmp_path / "r.json", {"b": 1, "a": [2]})
    assert list(json.loads((tmp_path / "r.json").read_text()).items()) == [
        ("schema", SCHEMA), ("b", 1), ("a", [2]),
    ]  # fmt: skip
    assert read_record(tmp_path / "r.json") == {"schema": SCHEMA, "b": 1, "a": [2]}
