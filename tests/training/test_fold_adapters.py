"""Adapters through training: small folds, inference, resuming, merging and bundling them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import auxfold
from auxfold.config import Train
from auxfold.config.experiment import to_toml
from auxfold.errors import InputError
from auxfold.inference.ensemble import Ensemble
from auxfold.kaggle import kernel
from auxfold.kaggle.bundle import write_bundle
from auxfold.kaggle.names import KaggleNames
from auxfold.model.backbone import build_model
from auxfold.storage.atomic import read_json
from auxfold.storage.run_folder import RunFolder
from auxfold.training.dry_run import plan_fold
from auxfold.training.fold import train_fold
from auxfold.training.loop import StepTrainer
from auxfold.training.optimizer import parameter_groups
from auxfold.training.split import create_folds
from auxfold.training.tensor_file import read_tensor_file
from conftest import make_backbone, make_experiment, make_frame
from forked import run_forked

ROOT = Path(__file__).parents[2]
KINDS = ("lora", "dora", "ia3", "prefix", "pfeiffer", "houlsby")


def make_adapter_experiment(kind: str, backbone: str, **changes):
    return make_experiment(
        "train.csv", backbone, name=kind,
        model={"adapter": {"kind": kind}}, **{"train": {"learning_rate": 0.01}, **changes},
    )  # fmt: skip


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    return load_file(path / "model.safetensors")


def script(name: str, *arguments: str) -> str:
    return run_script(name, *arguments, code=0).stdout


def refused(name: str, *arguments: str) -> str:
    error = run_script(name, *arguments, code=2).stderr
    assert error.startswith("error: ") and error.count("\n") == 1
    return error


def run_script(name: str, *arguments: str, code: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / f"scripts/{name}.py"), *arguments]
    done = run_forked(command)
    assert done.returncode == code, done.stderr
    return done


@pytest.mark.parametrize("kind", KINDS)
def test_a_fold_is_trained_stored_small_loaded_and_merged(work_dir, backbone, kind):
    experiment = make_adapter_experiment(kind, backbone)
    create_folds(experiment)
    folders = [train_fold(experiment, fold) for fold in (0, 1)]
    stored = load_weights(folders[0].path)
    assert {name.split(".")[0] for name in stored} == {"backbone", "heads"}
    assert not any("embeddings" in name or "base_layer" in name for name in stored)
    config = json.loads((folders[0].path / "config.json").read_text())
    assert config["adapter"]["kind"] == kind and config["reference"]["name"] == backbone
    texts = make_frame(20, 3)["text"]
    scores = auxfold.load(f"outputs/{kind}").predict(texts, tasks="all")
    oof = pd.read_parquet(folders[1].oof).set_index("id")
    rows = pd.read_csv("train.csv").set_index("id").loc[oof.index]
    again = auxfold.load(folders[1].path).predict(rows, tasks="all")
    np.testing.assert_allclose(again["toxic"], oof["toxic"], atol=1e-5)

    Path("e.toml").write_text(to_toml(experiment))
    script("merge", "--config", "e.toml", "--output", "merged")
    merged = auxfold.load("merged").predict(texts, tasks="all")
    np.testing.assert_allclose(merged, scores, atol=1e-5)
    assert json.loads(Path("merged/fold_0/config.json").read_text())["reference"] is None
    assert read_json(Path("merged/fold_0/run.json")) == read_json(folders[0].run)
    assert "exists; give --overwrite" in refused(
        "merge", "--config", "e.toml", "--output", "merged"
    )


def test_a_plain_fold_is_not_merged_and_a_missing_backbone_is_one_line(work_dir):
    folder = make_backbone(work_dir / "backbone")
    plain = make_experiment("train.csv", folder, name="plain")
    create_folds(plain)
    train_fold(plain, 0)
    Path("plain.toml").write_text(to_toml(plain))
    error = refused("merge", "--config", "plain.toml", "--folds", "0", "--output", "m")
    assert "plain model already" in error
    lora = make_adapter_experiment("lora", folder)
    create_folds(lora)
    train_fold(lora, 0)
    Path("lora.toml").write_text(to_toml(lora))
    Path(folder).rename(work_dir / "gone")
    error = refused("merge", "--config", "lora.toml", "--folds", "0", "--output", "m")
    assert "cannot be loaded from here" in error and not Path("m").exists()


@pytest.mark.parametrize("changes", [{}, {"train": {"ema": 0.9}}], ids=["plain", "ema"])
@pytest.mark.parametrize("kind", ["dora", "houlsby", "prefix"])
def test_resumed_training_ends_in_the_very_same_adapter(
    work_dir, backbone, monkeypatch, kind, changes
):
    experiment = make_adapter_experiment(kind, backbone, **changes)
    create_folds(experiment)
    whole = load_weights(train_fold(experiment, 0).path)
    original, steps = StepTrainer.train_step, []

    def interrupt(self, indices):
        steps.append(indices)
        if len(steps) == 6:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, indices)

    monkeypatch.setattr(StepTrainer, "train_step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train_fold(experiment, 0, overwrite=True)
    monkeypatch.setattr(StepTrainer, "train_step", original)
    state = read_tensor_file(RunFolder.of(experiment).fold(0).state)
    for part in ("model", "ema"):
        names = state["parts"].get(part, {})
        assert not any("word_embeddings" in name or "base_layer" in name for name in names)
    resumed = load_weights(train_fold(experiment, 0, resume=True).path)
    assert resumed.keys() == whole.keys()
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_groups_layer_decay_and_weight_decay_of_adapters(tmp_path):
    experiment = make_adapter_experiment("ia3", make_backbone(tmp_path))
    model = build_model(experiment, {"main": 1})
    groups = parameter_groups(
        model, Train(learning_rate=1.0, head_learning_rate=9.0, layerwise_lr_decay=0.5)
    )
    rates = {name: group["lr"] for group in groups for name in group["names"]}
    assert rates["heads.main.weight"] == 9.0
    assert rates["backbone.encoder.layer.1.output.dense.ia3_l.default"] == 1.0
    assert rates["backbone.encoder.layer.0.attention.self.key.ia3_l.default"] == 0.5
    decay = {name: group["weight_decay"] for group in groups for name in group["names"]}
    assert {name for name, value in decay.items() if value} == {"heads.main.weight"}
    prefix = build_model(make_adapter_experiment("prefix", str(tmp_path)), {"main": 1})
    rates = {
        n: g["lr"]
        for g in parameter_groups(prefix, Train(layerwise_lr_decay=0.5))
        for n in g["names"]
    }
    assert rates["backbone.prefix.layer.0.key"] == rates["backbone.prefix.layer.1.key"] / 2
    albert = make_adapter_experiment("lora", make_backbone(tmp_path / "albert", "albert"))
    with pytest.raises(
        InputError, match="layerwise_lr_decay: this backbone has no layers that run one after"
    ):
        parameter_groups(build_model(albert, {"main": 1}), Train(layerwise_lr_decay=0.9))


def test_the_plan_counts_what_is_trained(work_dir, backbone, monkeypatch):
    monkeypatch.setattr("auxfold.training.speed.STEP_SECONDS", 0.1)
    plan = "\n".join(plan_fold(make_adapter_experiment("houlsby", backbone), 0))
    assert "0.000 of 0.0 M parameters to train" in plan and "disk       0.0 MB, 0.0 MB" in plan


@pytest.mark.parametrize("kind", ["lora", "houlsby"])
def test_a_bundle_of_merged_adapters_needs_neither_the_backbone_nor_peft(work_dir, kind):
    folder = make_backbone(work_dir / "backbone")
    data = {"train": "train.csv", "test": "input/tiny-comments/test.csv"}
    experiment = make_adapter_experiment(kind, folder, data=data)
    create_folds(experiment)
    for fold in (0, 1):
        train_fold(experiment, fold)
    test = make_frame(20, 3)[["id", "text"]]
    expected = auxfold.load(f"outputs/{kind}").predict(test)["toxic"]
    notebook = ROOT / "notebooks/kaggle_inference.ipynb"
    names = KaggleNames("ada", "auxfold tiny", "tiny-comments")
    ensemble = Ensemble.from_experiment(experiment)
    bundle = write_bundle(ensemble, names, notebook, "fp32", merge_adapters=True) / "dataset"
    kernel.check_bundle(bundle)
    Path(folder).rename(work_dir / "gone")
    blocked = work_dir / "blocked/peft"
    blocked.mkdir(parents=True)
    (blocked / "__init__.py").write_text("raise ImportError('blocked')")
    mounted = work_dir / "mounted/tiny-comments"
    mounted.mkdir(parents=True)
    test.to_csv(mounted / "test.csv", index=False)
    program = (
        "import sys; from pathlib import Path; sys.modules['peft'] = None\n"
        "for name in [name for name in sys.modules if name.startswith('auxfold')]:\n"
        "    del sys.modules[name]  # the bundle has its own\n"
        "sys.path.insert(0, sys.argv[3])\n"
        "from auxfold.kaggle import kernel\n"
        "assert Path(kernel.__file__).resolve().is_relative_to(Path(sys.argv[3]).resolve())\n"
        "frame, done = kernel.predict(Path(sys.argv[1]), Path(sys.argv[2]), None, hours=1.0)\n"
        "frame.to_csv('predictions.csv', index=False); print(done)"
    )
    done = run_forked(
        [sys.executable, "-c", program, bundle, mounted / "test.csv", bundle / "src"],
        env={**os.environ, "PYTHONPATH": str(blocked.parent)},  # of the worker that it starts
    )
    assert "['fold_0', 'fold_1']" in done.stdout, done.stdout + done.stderr
    predictions = pd.read_csv("predictions.csv").set_index("id").loc[test["id"]]["toxic"]
    np.testing.assert_allclose(predictions, expected, atol=1e-5)
