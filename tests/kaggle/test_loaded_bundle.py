"""A blend of two runs as a bundle: the script's predictions, and what a spent budget costs."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import auxfold
from auxfold.config.experiment import to_toml
from auxfold.inference.blend import Blend
from auxfold.kaggle import kernel, workers
from auxfold.kaggle.loaded_bundle import LoadedBundle
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from commands import refusal_of_script, run_script
from conftest import make_backbone, make_experiment, make_frame

DATA = "input/tiny-comments"
BUNDLE = Path("outputs/both/kaggle/dataset")


@pytest.fixture(scope="module")
def trained_runs(tmp_path_factory, backbone) -> Path:
    """Two runs on one competition, of other backbones, folds and tasks, and their blend."""
    folder = tmp_path_factory.mktemp("blended")
    other = make_backbone(folder / "electra", "electra")
    (folder / DATA).mkdir(parents=True)
    make_frame().to_csv(folder / DATA / "train.csv", index=False)
    test = make_frame(30, seed=5)[["id", "text"]]
    test.to_csv(folder / DATA / "test.csv", index=False)
    sample = pd.DataFrame({"id": sorted(test["id"]), "prediction": 0.0})
    sample.to_csv(folder / DATA / "sample_submission.csv", index=False)
    files = {key: f"{DATA}/{key}.csv" for key in ("train", "test", "sample_submission")}
    train = {"epochs": 6, "learning_rate": 1e-2}
    first = make_experiment("", backbone, name="first", data=files, train=train)
    tasks = [{"name": "every", "kind": "binary", "columns": ["threat", "toxic", "insult"]}]
    second = make_experiment(
        "", other, name="second", data=files, train=train, tasks=tasks, folds={"n_splits": 3},
        model={"backbone": other, "max_length": 12}, inference={"average": "logit"},
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for experiment in (first, second):
            create_folds(experiment)
            for fold in experiment.folds.names:
                train_fold(experiment, fold)
            Path(f"{experiment.name}.toml").write_text(to_toml(experiment))
        run_script("blend", "--runs", "first,second", "--method", "nelder_mead", "--average",
                   "logit", "--name", "both", "--draws", "0")  # fmt: skip
    return folder


@pytest.fixture
def workdir(trained_runs, monkeypatch) -> Path:
    monkeypatch.chdir(trained_runs)
    return trained_runs


def bundle_with_weights(weights: list[float]) -> pd.DataFrame:
    """Bundle the blend again with these weights; its submission by the script, by id."""
    path = Path("outputs/both/blend.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "weights": {"toxic": weights}}))
    path.with_name("checksums.json").unlink(missing_ok=True)  # it is changed on purpose
    run_script("inference", "--blend", "outputs/both")
    run_script("bundle_kaggle", "--blend", "outputs/both", "--owner", "ada", "--overwrite")
    return pd.read_csv("outputs/both/submission.csv")


def predict_bundle(**options: object) -> tuple[pd.DataFrame, list[str]]:
    """The submission of the notebook, and the finished folds."""
    test, sample = kernel.find_inputs(BUNDLE, Path("input"))
    return kernel.predict(BUNDLE, test, sample, hours=1, **options)


@pytest.mark.usefixtures("forked_workers")
def test_the_bundle_predicts_as_the_blend_does(workdir):
    expected = bundle_with_weights([0.3, 0.7])
    manifest = kernel.check_bundle(BUNDLE)
    assert manifest["experiment"] == "both" and manifest["competition"] == "tiny-comments"
    assert manifest["folds"] == [
        "runs/first/fold_0", "runs/second/fold_0", "runs/first/fold_1", "runs/second/fold_1",
        "runs/second/fold_2",
    ]  # fmt: skip
    predictions, folds = predict_bundle(devices=["cpu", "cpu"])
    assert folds == manifest["folds"]
    assert predictions.columns.tolist() == ["id", "prediction"]
    assert predictions["id"].tolist() == expected["id"].tolist()
    np.testing.assert_allclose(predictions["prediction"], expected["prediction"], atol=2e-3)
    assert predictions["prediction"].std() > 0.01


@pytest.mark.usefixtures("forked_workers")
def test_a_run_without_a_weight_costs_nothing(workdir):
    expected = bundle_with_weights([0.0, 1.0])
    manifest = kernel.check_bundle(BUNDLE)
    assert manifest["runs"] == {
        "runs/first": ["fold_0"],  # for its ids and its sample submission
        "runs/second": ["fold_0", "fold_1", "fold_2"],
    }
    assert not any("first" in fold for fold in manifest["folds"])
    predictions, _ = predict_bundle()
    np.testing.assert_allclose(predictions["prediction"], expected["prediction"], atol=2e-3)
    bundle_with_weights([1.0, 0.0])
    assert list(kernel.check_bundle(BUNDLE)["runs"]) == ["runs/first"]


@pytest.mark.usefixtures("forked_workers")
def test_a_run_whose_folds_fail_leaves_its_weight_to_the_others(workdir, capsys):
    bundle_with_weights([0.25, 0.75])
    for weights in Path(BUNDLE / "runs/second").glob("*/model.safetensors"):
        weights.write_bytes(b"broken")
    capsys.readouterr()
    predictions, folds = predict_bundle()
    output = capsys.readouterr().out
    assert folds == ["runs/first/fold_0", "runs/first/fold_1"], "the others are not given up"
    assert "runs/second/fold_0 FAILED" in output and "A PROCESS FAILED" in output
    assert "NO FOLD OF runs/second: the other runs' weights are scaled up" in output
    run_script("inference", "--config", "first.toml", "--output", "one.csv")
    alone = pd.read_csv("one.csv").set_index("id").loc[predictions["id"]]
    np.testing.assert_allclose(predictions["prediction"], alone.iloc[:, 0], atol=2e-3)


def test_a_slow_run_does_not_cost_the_folds_of_a_quick_one(workdir, monkeypatch, capsys):
    bundle_with_weights([0.5, 0.5])
    slow = BUNDLE / "src/auxfold/kaggle/workers.py"
    slow.write_text(slow.read_text().replace(
        "longest[run] = max(longest[run], seconds)",
        'longest[run] = 1e9 if "second" in run else 0.0'))  # fmt: skip
    monkeypatch.setattr(workers, "__file__", str(slow.resolve()))
    _, folds = predict_bundle()
    assert folds == ["runs/first/fold_0", "runs/second/fold_0", "runs/first/fold_1"]
    assert "ONLY 3 OF 5 FOLDS are averaged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("test", "ids"), [("train.csv", ["1", "3"]), ("t.csv", ["0", "1", "2", "3"])]
)
def test_the_rows_to_test_are_those_that_the_split_marks(tmp_path, test, ids):
    mounted = tmp_path / "table.csv"
    frame = pd.DataFrame({"text": list("abcd"), "part": ["train", "test", "dev", "test"]})
    frame.to_csv(mounted, index=False)
    data = {"train": "train.csv", "test": test, "split": "part", "id": ""}
    experiment = make_experiment("train.csv", "b", data=data)
    runs = {".": SimpleNamespace(experiment=experiment)}
    table = LoadedBundle(tmp_path, "c", runs, [], None).table(mounted)
    assert table.ids.tolist() == ids
    assert table.texts == [[list("abcd")[int(number)] for number in ids]]


def test_weights_of_what_is_left_keep_their_ratio_and_their_sum(workdir):
    blend = Blend.from_folder("outputs/both")
    blend.record["weights"] = {"toxic": [0.2, 0.6, 0.4], "insult": [-0.5, 1.2, 0.5]}
    weights = blend._scaled_weights([0, 2])
    np.testing.assert_allclose(weights["toxic"], [0.4, 0.8])
    np.testing.assert_allclose(weights["insult"], [0.6, 0.6], err_msg="nothing to scale: equal")
    np.testing.assert_array_equal(blend._scaled_weights([0, 1, 2])["insult"], [-0.5, 1.2, 0.5])
    blend.record["weights"] = {"toxic": [0.6, -0.55, 0.95], "insult": [0.05, 0.15, 0.8]}
    weights = blend._scaled_weights([0, 1])
    np.testing.assert_allclose(
        weights["toxic"], [0.5, 0.5], err_msg="12 and -11 would be far too large"
    )
    np.testing.assert_allclose(weights["insult"], [0.25, 0.75])


@pytest.mark.usefixtures("forked_workers")
def test_calibrated_on_kaggle_as_at_home(workdir):
    bundle_with_weights([0.3, 0.7])
    run_script("inference", "--blend", "outputs/both", "--calibrate", "isotonic", "--output",
               "calibrated.csv")  # fmt: skip
    expected = pd.read_csv("calibrated.csv").set_index("id")
    calibrated, _ = predict_bundle(calibrate="isotonic")
    plain, _ = predict_bundle()
    assert np.abs(calibrated["prediction"] - plain["prediction"]).max() > 0.05
    close = np.isclose(
        calibrated["prediction"], expected.loc[calibrated["id"]].iloc[:, 0], atol=0.01
    )
    assert close.mean() > 0.9, "all but rows at a step of the isotonic curve"


def test_a_bundle_is_a_blend_for_python_too(workdir):
    expected = bundle_with_weights([0.0, 1.0])
    texts = pd.read_csv(f"{DATA}/test.csv").set_index("id").loc[expected["id"]]
    predictions = auxfold.load(BUNDLE).predict(texts)
    np.testing.assert_allclose(predictions["toxic"], expected["prediction"], atol=2e-3)


def test_what_would_fail_on_kaggle_is_refused_at_home(workdir, capsys):
    bundle_with_weights([0.3, 0.7])
    blend = ("bundle_kaggle", "--blend", "outputs/both", "--owner", "ada", "--overwrite")
    fold = Path("outputs/second/fold_0/experiment.toml")
    for change, expected in (
        (('test = "input/tiny-comments/test.csv"', 'test = "input/other.csv"'), "one test file"),
        (('text = "text"', 'text = "words"'), "data.text = 'words'"),
    ):
        stored_texts = [
            p.read_text() for p in sorted(fold.parents[1].glob("fold_*/experiment.toml"))
        ]
        paths = sorted(fold.parents[1].glob("fold_*/experiment.toml"))
        for path in paths:
            path.with_name("checksums.json").unlink(missing_ok=True)  # they are changed on purpose
        try:
            for path, text in zip(paths, stored_texts, strict=True):
                assert change[0] in text
                path.write_text(text.replace(*change))
            assert expected in refusal_of_script(capsys, *blend)
        finally:
            for path, text in zip(paths, stored_texts, strict=True):
                path.write_text(text)
    sample = Path(f"{DATA}/sample_submission.csv")
    stored_text = sample.read_text()
    try:
        pd.read_csv(sample).assign(insult=0.0, toxic=0.0).to_csv(sample, index=False)
        message = refusal_of_script(capsys, *blend)
        assert "has the column 'prediction'" in message and "blend.py --metric" in message
    finally:
        sample.write_text(stored_text)
    assert list(kernel.check_bundle(BUNDLE)["runs"]) == ["runs/first", "runs/second"], "untouched"


def test_what_names_an_experiment_is_refused(workdir, capsys):
    blend = ("bundle_kaggle", "--blend", "outputs/both", "--owner", "ada")
    assert "--folds has no effect with --blend" in refusal_of_script(capsys, *blend, "--folds", "0")
    assert "--config has no effect" in refusal_of_script(capsys, *blend, "--config", "first.toml")
