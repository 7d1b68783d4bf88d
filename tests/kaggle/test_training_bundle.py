"""A training bundle: what it holds, its metadata, and the experiment that is read from it there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from auxfold.config.experiment import load_experiment
from auxfold.errors import InputError
from auxfold.kaggle.training_bundle import copy_backbone, training_commands
from auxfold.kaggle.training_inputs import locate_experiment
from auxfold.kaggle.training_manifest import read_training_manifest
from auxfold.kaggle.training_plan import TrainingPlan
from commands import refusal_of_script, run_script
from conftest import make_backbone, make_experiment, make_frame
from kaggle_training import (
    COMPETITION,
    NAMES,
    bundle_training,
    make_competition,
    mount,
    pack_wheel,
)

MODEL = "google/gemma-2/transformers/gemma-2-2b/2"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_bundle_holds_source_backbone_wheels_and_extra_files(home, backbone):
    """A second source is not part of the competition, so that it is brought along."""
    competition, extra = f"input/{COMPETITION}", Path("input/other-comments/train.csv")
    extra.parent.mkdir(parents=True)
    make_frame(20, seed=9).to_csv(extra, index=False)
    sources = [{"path": f"{competition}/train.csv", "name": "ours"}, str(extra)]
    experiment = make_competition(home, backbone, data={"train": sources})
    bundle = bundle_training(experiment, home, hours=11.0, folds=["full", 0])
    dataset = bundle / "dataset"
    manifest = read_training_manifest(dataset)
    assert manifest["folds"] == ["full", 0] and manifest["hours"] == 11.0
    assert "src/auxfold/kaggle/training_kernel.py" in manifest["files"]
    assert {"backbone/config.json", "backbone/model.safetensors", "backbone/tokenizer.json"} <= set(
        manifest["files"]
    )
    assert [n for n in manifest["files"] if n.startswith("wheels/iterative_stratification-")]
    names = {path.name for path in dataset.iterdir()}
    assert names == {"src", "backbone", "wheels", "files", "experiment.toml",
                     "auxfold_training.json", "dataset-metadata.json"}  # fmt: skip
    paths = manifest["paths"]
    assert paths[f"{competition}/train.csv"] == {
        "path": "train.csv", "bundled": False,
        "columns": ["id", "text", "toxic", "insult", "threat"],
    }  # fmt: skip
    assert paths[str(extra)]["bundled"] and paths[str(extra)]["path"] == "files/1_train.csv"

    root, mounted = mount(bundle, home / "kaggle")
    located = locate_experiment(mounted, root)
    there = root / "competitions" / COMPETITION
    assert [source.path for source in located.data.sources] == [
        str(there / "train.csv"), str(mounted / "files/1_train.csv")
    ]  # fmt: skip
    assert located.data.source_names == experiment.data.source_names == ["ours", "other-comments"]
    assert located.data.test == str(there / "test.csv")
    assert located.data.sample_submission == str(there / "sample_submission.csv")
    assert located.model.backbone == str(mounted / "backbone")
    assert located.tasks == experiment.tasks and located.train == experiment.train


def test_the_kernel_is_what_kaggle_expects(home, backbone):
    experiment = make_competition(home, backbone)
    bundle = bundle_training(experiment, home, backbone_source=MODEL, resumes=True)
    pushed = json.loads((bundle / "kernel/kernel-metadata.json").read_text())
    assert pushed["id"] == "ada/auxfold-tiny-training-kernel"
    assert pushed["title"] == "auxfold tiny training kernel"
    assert pushed["enable_internet"] is False and pushed["enable_gpu"] is True
    assert pushed["machine_shape"] == "NvidiaTeslaT4"
    assert pushed["dataset_sources"] == ["ada/auxfold-tiny-training"]
    assert pushed["model_sources"] == [MODEL]
    assert pushed["kernel_sources"] == ["ada/auxfold-tiny-training-kernel"]
    assert pushed["competition_sources"] == [COMPETITION]
    assert (bundle / "kernel" / pushed["code_file"]).is_file()
    assert not (bundle / "dataset/backbone").exists()
    plan = TrainingPlan(experiment, NAMES, [0], 8.5)
    commands = "\n".join(training_commands(bundle, plan))
    assert f"kernels push -p {bundle / 'kernel'} --accelerator NvidiaTeslaT4" in commands
    assert f"submit {COMPETITION} -k ada/auxfold-tiny-training-kernel" in commands

    bundle = bundle_training(experiment, home, backbone_source="ada/my-backbone")
    pushed = json.loads((bundle / "kernel/kernel-metadata.json").read_text())
    assert pushed["dataset_sources"] == ["ada/auxfold-tiny-training", "ada/my-backbone"]
    assert pushed["model_sources"] == pushed["kernel_sources"] == []


def test_a_backbone_is_copied_without_what_is_not_read(tmp_path):
    source = Path(make_backbone(tmp_path / "source"))
    for name in ("README.md", "pytorch_model.bin", "vocab.txt"):
        (source / name).write_text("x")
    (source / "onnx").mkdir()
    copy_backbone(make_experiment("train.csv", str(source)), tmp_path / "copy")
    names = {path.name for path in (tmp_path / "copy").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "vocab.txt"} <= names
    assert not names & {"README.md", "pytorch_model.bin", "onnx"}
    with pytest.raises(InputError, match="'missing/model' is neither a folder .*--backbone-source"):
        copy_backbone(make_experiment("train.csv", "missing/model"), tmp_path / "none")


def test_a_damaged_bundle_is_refused(home, backbone):
    bundle = bundle_training(make_competition(home, backbone), home)
    root, dataset = mount(bundle, home / "kaggle")
    (dataset / "backbone/config.json").write_text("{}")
    with pytest.raises(InputError, match="not the file that was bundled"):
        locate_experiment(dataset, root)
    (dataset / "auxfold_training.json").write_text('{"experiment": 3}')
    with pytest.raises(InputError, match="is damaged .*upload the dataset again"):
        locate_experiment(dataset, root)
    (dataset / "auxfold_training.json").unlink()
    with pytest.raises(InputError, match="attach the dataset that .* --train wrote"):
        locate_experiment(dataset, root)


def test_the_command_writes_the_bundle(home, backbone, capsys):
    make_competition(home, backbone)
    options = ["--train", "--config", "e.toml", "--owner", "ada"]
    line = refusal_of_script(capsys, "bundle_kaggle", *options)
    assert "Kaggle's image has no iterative-stratification" in line
    pack_wheel("iterative-stratification", Path("wheels"))
    run_script("bundle_kaggle", *options, "--wheels", "wheels", "--folds", "1", "--hours", "3")
    output = capsys.readouterr().out
    assert "outputs/tiny/kaggle_training: trains folds 1 in 3 hours" in output
    assert "kaggle kernels push -p outputs/tiny/kaggle_training/kernel" in output
    dataset = Path("outputs/tiny/kaggle_training/dataset")
    assert read_training_manifest(dataset)["folds"] == [1]
    assert load_experiment(dataset / "experiment.toml").name == "tiny"
    line = refusal_of_script(capsys, "bundle_kaggle", *options, "--wheels", "wheels")
    assert "give --overwrite to replace it" in line


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--hours", "3"], "--hours has no effect without --train"),
        (["--gpus-per-fold", "2"], "--gpus-per-fold has no effect without --train"),
        (["--resume"], "--resume has no effect without --train"),
        (["--train", "--precision", "fp32"], "--precision has no effect with --train"),
        (["--train", "--blend", "outputs/b"], "--blend has no effect with --train"),
        (["--train", "--hours", "0"], "--hours 0: a number of hours above 0"),
        (["--train", "--hours", "nan"], "--hours nan: a number of hours above 0"),
    ],
)
def test_options_without_effect_are_refused(home, capsys, options, expected):
    line = refusal_of_script(capsys, "bundle_kaggle", "--owner", "ada", *options)
    assert expected in line


def test_files_of_one_name_are_told_apart_by_their_columns(home, backbone):
    bundle = bundle_training(make_competition(home, backbone), home)
    root, dataset = mount(bundle, home / "kaggle")
    there = root / "competitions" / COMPETITION
    for name in ("first", "second"):
        (there / name).mkdir()
    shutil.move(there / "train.csv", there / "second/train.csv")
    pd.DataFrame({"id": ["a"], "text": ["b"]}).to_csv(there / "first/train.csv", index=False)
    located = locate_experiment(dataset, root)
    assert located.data.train == str(there / "second/train.csv")
