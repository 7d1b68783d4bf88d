"""An ensemble of adapters loads its backbone once, and so does a blend of such runs."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import auxfold
from auxfold.data.loading import read_prediction_table
from auxfold.inference import fold_loader
from auxfold.inference.blend import Blend
from auxfold.inference.ensemble import Ensemble
from auxfold.inference.fold_loader import FoldLoader
from auxfold.model import loading
from auxfold.model.multitask import MultiTaskModel
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from commands import call_main
from conftest import make_backbone, make_experiment, make_frame

TEXTS = ["silly goose", "the garden is good", "", "goose " * 30, "rain"]


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, backbone):
    """Three runs of two adapters each, of which two have one backbone; and their blends."""
    workdir = tmp_path_factory.mktemp("adapters")
    make_frame(40).to_csv(workdir / "train.csv", index=False)
    make_frame(21, seed=5).to_csv(workdir / "test.csv", index=False)
    other = make_backbone(workdir / "other", "modernbert")
    adapters = {
        "narrow": (backbone, {"kind": "lora", "rank": 2}),
        "wide": (backbone, {"kind": "lora", "rank": 4, "target_modules": ["query", "key"]}),
        "modern": (other, {"kind": "lora"}),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workdir)
        for name, (path, adapter) in adapters.items():
            experiment = make_experiment(
                "train.csv", path, name=name, data={"test": "test.csv"},
                model={"backbone": path, "max_length": 24, "adapter": adapter},
                train={"epochs": 1, "learning_rate": 1e-2},
            )  # fmt: skip
            create_folds(experiment)
            for fold in (0, 1):
                train_fold(experiment, fold)
        for runs in ("narrow,wide", "narrow,modern,wide"):
            call_main("blend", "--runs", runs, "--method", "mean", "--draws", "0",
                      "--name", runs.replace(",", "_"))  # fmt: skip
    return workdir


@pytest.fixture
def loads(workdir, monkeypatch) -> list[str]:
    """The names of the backbones that are loaded, in order."""
    monkeypatch.chdir(workdir)
    names, load = [], loading.load_reference_backbone

    def record(reference, *args, **options):
        names.append(Path(reference["name"]).name)
        return load(reference, *args, **options)

    monkeypatch.setattr(loading, "load_reference_backbone", record)
    return names


def storages(models: list[MultiTaskModel], is_frozen: bool) -> list[set[int]]:
    """The addresses of the frozen or the trained parameters of each model."""
    return [
        {p.data_ptr() for p in model.parameters() if p.requires_grad != is_frozen}
        for model in models
    ]


def test_load_has_one_backbone_and_predicts_as_the_folds_alone(loads, backbone):
    name = Path(backbone).name
    model = auxfold.load("outputs/narrow")
    assert loads == [name]
    first, second = storages(model.models[0], is_frozen=True)
    assert first == second and len(first) > 20
    first, second = storages(model.models[0], is_frozen=False)
    assert not first & second
    single = [auxfold.load(f"outputs/narrow/fold_{fold}").predict(TEXTS) for fold in (0, 1)]
    assert loads == [name] * 3
    np.testing.assert_allclose(model.predict(TEXTS), (single[0] + single[1]) / 2, atol=1e-7)
    assert np.abs(single[0] - single[1]).to_numpy().max() > 1e-5


def test_every_device_has_one_backbone(loads, backbone):
    model = auxfold.load("outputs/narrow", devices=["cpu", "cpu"])
    assert loads == [Path(backbone).name] * 2
    expected = auxfold.load("outputs/narrow").predict(TEXTS)
    np.testing.assert_allclose(model.predict(TEXTS), expected, atol=1e-6)


def test_inference_loads_it_once_whether_folds_share_batches_or_not(loads, monkeypatch, backbone):
    folds, results = Ensemble.from_folder("outputs/narrow"), []
    table = read_prediction_table(folds.experiment, "test.csv")
    for groups in ([[folder] for folder in folds.folders], [folds.folders]):
        monkeypatch.setattr(Ensemble, "_split_by_memory", lambda self, model, groups=groups: groups)
        results.append(folds.predict(table, folds.tasks, "probability", show=False))
    assert loads == [Path(backbone).name] * 2
    for task, values in results[0].items():
        np.testing.assert_array_equal(results[1][task], values)
    texts = pd.read_csv("test.csv")["text"].tolist()
    expected = auxfold.load("outputs/narrow").predict(texts)["toxic"]
    np.testing.assert_allclose(results[0]["main"][:, 0], expected, atol=1e-6)


def test_runs_of_a_blend_share_it_too(loads, backbone):
    name = Path(backbone).name
    blend = Blend.from_folder("outputs/narrow_wide")
    predictions = blend.predict(blend.tables(None), show=False)["main"][:, 0]
    assert loads == [name]
    texts = pd.read_csv("test.csv")
    loaded = auxfold.load("outputs/narrow_wide")
    assert loads == [name] * 2
    models = [model for predictor in loaded.predictors.values() for model in predictor.models[0]]
    assert len(models) == 4 and len({frozenset(s) for s in storages(models, is_frozen=True)}) == 1
    np.testing.assert_allclose(loaded.predict(texts)["toxic"], predictions, atol=1e-6)
    single = [auxfold.load(f"outputs/{run}").predict(texts)["toxic"] for run in ("narrow", "wide")]
    np.testing.assert_allclose((single[0] + single[1]) / 2, predictions, atol=1e-6)


def test_a_blend_in_memory_keeps_all_backbones_and_inference_only_the_last(loads, backbone):
    name = Path(backbone).name
    auxfold.load("outputs/narrow_modern_wide")
    assert loads == [name, "other"]
    loads.clear()
    blend = Blend.from_folder("outputs/narrow_modern_wide")
    blend.predict(blend.tables(None), show=False)
    assert loads == [name, "other", name]


def test_a_fold_is_loaded_while_its_gpu_is_the_current_one(loads, monkeypatch):
    """There quantized weights are made."""
    current, used = [], []

    @contextmanager
    def device(which: torch.device):
        current.append(which)
        yield
        current.pop()

    def prepare(model, which, amp_dtype):
        used.append((list(current), which))
        return model

    monkeypatch.setattr(torch.cuda, "device", device)
    monkeypatch.setattr(fold_loader, "prepare_model", prepare)
    second = torch.device("cuda:1")
    FoldLoader(second).load(Ensemble.from_folder("outputs/narrow").folders[0], "fp16")
    assert used == [([second], second)] and not current


def test_another_number_format_of_the_forward_pass_has_weights_of_its_own(loads, backbone):
    """A GPU casts linear layers in place."""
    folders = Ensemble.from_folder("outputs/narrow").folders
    loader = FoldLoader(torch.device("cpu"), keep_all=True)
    models = [loader.load(folders[0], amp_dtype) for amp_dtype in ("fp32", "bf16", "fp32")]
    assert loads == [Path(backbone).name] * 2
    first, second, third = storages(models, is_frozen=True)
    assert first == third and not first & second
