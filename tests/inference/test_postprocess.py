"""Stored calibration and thresholds are applied on every way to a prediction, or refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import auxfold
from auxfold.config.experiment import load_experiment, to_toml
from auxfold.errors import InputError
from auxfold.inference.ensemble import Ensemble
from auxfold.inference.postprocess import Postprocess
from auxfold.kaggle import kernel
from auxfold.kaggle.bundle import write_bundle
from auxfold.kaggle.names import KaggleNames
from auxfold.postprocessing.calibration import apply_isotonic
from auxfold.storage.checksums import write_json_checked
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from commands import refusal_of_script, run_script
from conftest import make_experiment, make_frame

ROOT = Path(__file__).parents[2]
TASKS: list[dict] = [
    {"name": "main", "kind": "binary", "columns": ["toxic"], "main": True},
    {"name": "aux", "kind": "binary", "columns": ["insult", "threat"]},
    {"name": "mood", "kind": "multiclass", "columns": ["mood"], "classes": ["bad", "good"]},
    {"name": "score", "kind": "regression", "columns": ["score"]},
]


@pytest.fixture(scope="module")
def trained_run(tmp_path_factory, backbone) -> Path:
    """A run of every kind of task, evaluated with a precision, and its raw test predictions."""
    folder = tmp_path_factory.mktemp("postprocess")
    frame = make_frame(80)
    frame["mood"] = np.where(frame["toxic"] > 0.5, "bad", "good")
    frame["score"] = np.arange(80.0)
    frame.to_csv(folder / "train.csv", index=False)
    make_frame(30, seed=5)[["id", "text"]].to_csv(folder / "test.csv", index=False)
    experiment = make_experiment(
        "", backbone, data={"train": "train.csv", "test": "test.csv"}, tasks=TASKS,
        train={"epochs": 2, "learning_rate": 1e-2},
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("e.toml").write_text(to_toml(experiment))
        create_folds(experiment)
        for fold in (0, 1):
            train_fold(experiment, fold)
        run_script("evaluate", "--config", "e.toml", "--target-precision", "0.5")
        run_script("inference", "--config", "e.toml", "--all-tasks", "--output", "raw.csv")
    return folder


@pytest.fixture
def workdir(trained_run, monkeypatch) -> Path:
    monkeypatch.chdir(trained_run)
    return trained_run


def stored_columns() -> dict:
    return json.loads(Path("outputs/tiny/postprocess.json").read_text())["columns"]


def run_inference(*options: str) -> pd.DataFrame:
    run_script("inference", "--config", "e.toml", *options, "--output", "made.csv")
    return pd.read_csv("made.csv").set_index("id")


def test_what_is_stored_is_what_the_scores_tell_of(workdir):
    cv = json.loads(Path("outputs/tiny/cv.json").read_text())
    assert list(stored_columns()) == ["toxic", "insult", "threat", "mood"]
    assert stored_columns()["insult"]["thresholds"] == {
        "f1": cv["thresholds"]["values"]["insult"],
        "precision=0.5": cv["precision"]["precision=0.5"]["values"]["insult"],
    }
    assert list(cv["calibration"]) == ["toxic", "insult", "threat", "mood"]
    page = Path("outputs/tiny/report.html").read_text()
    assert "calibration error" in page and "insult, precision=0.5: " in page
    assert "calibrated on the other folds" in page


def test_calibrated_probabilities(workdir):
    raw = pd.read_csv("raw.csv").set_index("id")
    by_temperature = run_inference("--task", "aux", "--calibrate", "temperature")
    for column in ("insult", "threat"):
        t = stored_columns()[column]["calibration"]["temperature"]
        odds = (raw[column] / (1 - raw[column])) ** (1 / t)
        np.testing.assert_allclose(by_temperature[column], odds / (1 + odds), atol=1e-9)
    by_steps = run_inference("--calibrate", "isotonic")
    knots = stored_columns()["toxic"]["calibration"]["isotonic"]
    np.testing.assert_allclose(by_steps["toxic"], apply_isotonic(raw["toxic"].to_numpy(), knots))
    mood = run_inference("--task", "mood", "--calibrate", "temperature")
    t = stored_columns()["mood"]["calibration"]["temperature"]
    powers = raw[["mood_bad", "mood_good"]] ** (1 / t)
    expected = powers.div(powers.sum(axis=1), axis=0)
    np.testing.assert_allclose(mood[["mood_bad", "mood_good"]], expected, atol=1e-9)
    assert mood["mood"].tolist() == raw["mood"].tolist()


def test_predictions_of_1_and_0_by_the_stored_thresholds(workdir):
    raw = pd.read_csv("raw.csv").set_index("id")
    decisions = run_inference("--task", "aux", "--threshold", "f1")
    for column in ("insult", "threat"):
        threshold = stored_columns()[column]["thresholds"]["f1"]
        assert decisions[column].tolist() == (raw[column] >= threshold).astype(int).tolist()
    assert "0.0" not in Path("made.csv").read_text(), "integers"
    precise = run_inference("--threshold", "precision=0.5")
    threshold = stored_columns()["toxic"]["thresholds"]["precision=0.5"]
    assert precise["toxic"].tolist() == (raw["toxic"] >= threshold).astype(int).tolist()


def test_a_precision_that_no_threshold_reached_predicts_0(workdir):
    ensemble = Ensemble.from_folder("outputs/tiny")
    (task,) = ensemble.select_tasks()
    columns = {"toxic": {"thresholds": {"precision=1": None}}}
    postprocess = Postprocess(None, "precision=1", columns)
    decisions = postprocess.apply([task], {"main": np.array([[0.2], [1.0]])})
    assert decisions["main"].tolist() == [[0], [0]]
    at_boundary = Postprocess(None, "f1", {"toxic": {"thresholds": {"f1": 0.2}}})
    values = np.array([[0.2], [np.nextafter(0.2, 0)]])
    assert at_boundary.apply([task], {"main": values})["main"].tolist() == [[1], [0]], ">= is yes"


@pytest.mark.usefixtures("forked_workers")
def test_in_python_and_on_kaggle(workdir, tmp_path, capsys):
    raw = pd.read_csv("raw.csv").set_index("id")
    texts = pd.read_csv("test.csv")
    model = auxfold.load("outputs/tiny")
    calibrated = model.predict(texts, calibrate="isotonic")["toxic"]
    expected = apply_isotonic(
        raw["toxic"].to_numpy(), stored_columns()["toxic"]["calibration"]["isotonic"]
    )
    np.testing.assert_allclose(calibrated, expected, atol=1e-5)
    decisions = model.predict(texts, tasks=["main", "aux"], threshold="f1")
    assert set(np.unique(decisions)) <= {0, 1} and decisions.dtypes.eq(np.int64).all()
    run_script("inference", "--config", "e.toml", "--text", "goose", "--calibrate", "isotonic")
    ensemble = Ensemble.from_experiment(load_experiment("e.toml"))
    notebook = ROOT / "notebooks/kaggle_inference.ipynb"
    names = KaggleNames("ada", "auxfold tiny", "tiny-comments")
    bundle = write_bundle(ensemble, names, notebook, "fp32") / "dataset"
    assert "postprocess.json" in kernel.check_bundle(bundle)["files"]
    frame, _ = kernel.predict(bundle, Path("test.csv"), None, 1.0, calibrate="isotonic")
    np.testing.assert_allclose(frame.set_index("id")["toxic"], expected, atol=1e-5)
    shutil.rmtree("outputs/tiny/kaggle")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--all-tasks", "--calibrate", "temperature"], "regression task, which has no"),
        (["--task", "mood", "--calibrate", "isotonic"], "multiclass task, which has temperature"),
        (["--task", "mood", "--threshold", "f1"], "multiclass task; thresholds are for binary"),
        (["--threshold", "precision=0.7"], "stored are f1, precision=0.5; for another"),
        (["--threshold", "f1", "--calibrate", "isotonic"], "exclude each other"),
        (["--calibrate", "isotonic", "--set", "inference.average=rank"], "'rank' gives none"),
    ],
)  # fmt: skip
def test_what_is_not_stored_cannot_be_applied(workdir, capsys, options, expected):
    message = refusal_of_script(
        capsys, "inference", "--config", "e.toml", *options, "--output", "no.csv"
    )
    assert expected in message and not Path("no.csv").exists()


def test_what_cannot_be_applied_is_refused_before_the_test_file_is_read(workdir, capsys, tmp_path):
    unreadable = tmp_path / "broken.parquet"
    unreadable.write_text("no parquet file")
    files = ("--input", str(unreadable), "--output", "no.csv")
    message = refusal_of_script(
        capsys, "inference", "--config", "e.toml", *files, "--threshold", "precision=0.7"
    )
    assert "stored are f1, precision=0.5" in message


@pytest.mark.parametrize(
    ("script", "options", "expected"),
    [
        ("evaluate", ["--metric", "auc"], "--metric goes with --labels"),
        ("evaluate", ["--labels", "train.csv", "--predictions", "raw.csv",
                      "--target-precision", "0.9"],
         "--target-precision tunes thresholds out of fold"),
        ("inference", ["--text", "goose", "--output", "x.csv"], "--output has no effect"),
        ("inference", ["--text", "goose", "--without-ids"], "--without-ids has no effect"),
    ],
)  # fmt: skip
def test_options_without_effect_are_refused(workdir, capsys, script, options, expected):
    assert expected in refusal_of_script(capsys, script, "--config", "e.toml", *options)


def test_other_folds_and_no_folds_are_refused(workdir, capsys):
    assert "--target-precision 1.5" in refusal_of_script(
        capsys, "evaluate", "--config", "e.toml", "--target-precision", "1.5"
    )
    path = Path("outputs/tiny/postprocess.json")
    stored_text = path.read_text()
    write_json_checked(path, {**json.loads(stored_text), "data_fingerprint": "x"})
    try:
        with pytest.raises(InputError, match="is of other folds than these"):
            auxfold.load("outputs/tiny").predict("goose", threshold="f1")
        files = ("--labels", "train.csv", "--predictions", "outputs/tiny/oof.parquet")
        assert "is of other folds" in refusal_of_script(
            capsys, "evaluate", "--config", "e.toml", *files, "--metric", "f1_tuned"
        )
        path.unlink()
        with pytest.raises(InputError, match="run scripts/evaluate.py first"):
            auxfold.load("outputs/tiny/fold_0").predict("goose", calibrate="temperature")
    finally:
        write_json_checked(path, json.loads(stored_text))


ALONE = """
import json, sys
from importlib.machinery import PathFinder

find = PathFinder.find_spec
MISSING = ("scipy", "sklearn", "iterstrat", "matplotlib", "jinja2", "accelerate", "peft")
PathFinder.find_spec = classmethod(
    lambda cls, name, path=None, target=None:
        None if name.split(".")[0] in MISSING else find(name, path, target)
)
from pathlib import Path
import auxfold
import auxfold.kaggle.kernel
from auxfold.inference.blend import Blend
from auxfold.storage.records import write_record

texts = ["silly goose", "the garden is good", "rain"]
model = auxfold.load("outputs/tiny")
for options in ({"calibrate": "isotonic"}, {"threshold": "f1"}, {"average": "rank"}):
    print(model.predict(texts, **options)["toxic"].tolist())
Path("outputs/alone").mkdir()
run = json.loads(Path("outputs/tiny/fold_0/run.json").read_text())
member = {key: run[key] for key in ("experiment_fingerprint", "data_fingerprint")}
record = {"average": "rank", "power": 3.5, "tasks": ["main"], "weights": {"toxic": [0.5, 0.5]},
          "members": [{"path": "outputs/tiny", **member}] * 2}
write_record(Path("outputs/alone/blend.json"), record)
blend = Blend.from_folder("outputs/alone")
print(len(blend.predict(blend.tables(None), show=False)["main"]))
"""


def test_prediction_needs_neither_scipy_nor_scikit_learn(workdir):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    process = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True,
                          timeout=300, env=environment)  # fmt: skip
    shutil.rmtree("outputs/alone")
    assert process.returncode == 0, process.stderr
    *_, rows = process.stdout.splitlines()
    assert rows == "30"
    with pytest.raises(InputError, match="holds no trained fold"):
        auxfold.load("outputs/alone")
