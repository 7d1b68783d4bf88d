"""Number formats, checkpointing and 8-bit moments through folds: inference, resuming, merging."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

import auxfold
from auxfold.config.experiment import Experiment
from auxfold.inference.merge import merge_fold
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from conftest import (
    assert_resumes_exactly,
    assert_same_training,
    load_history,
    load_tensors,
    make_experiment,
    make_frame,
    train_in_two_processes,
)
from language_models import make_language_model

QLORA = {
    "model": {"quantization": "nf4", "dtype": "bf16"},
    "train": {"optimizer": "paged_adamw_8bit", "gradient_checkpointing": True},
}
HALF = {"model": {"dtype": "fp16"}}
INT8 = {"model": {"quantization": "int8"}, "train": {"ema": 0.9}}
FAMILIES = ("llama", "mistral", "qwen3", "gemma3_text", "modernbert")


def make_format_experiment(folder: str, changes: dict, **others: object) -> Experiment:
    adapter = {"kind": "lora", "rank": 4, "use_rslora": True}
    train = {"epochs": 2, "batch_size": 8, "learning_rate": 3e-3, "precision": "fp32"}
    return make_experiment(
        "train.csv",
        folder,
        model={"backbone": folder, "max_length": 24, "adapter": adapter, **changes["model"]},
        train={**train, **changes.get("train", {})},
        **others,
    )


@pytest.mark.parametrize(
    ("architecture", "changes"),
    [*((family, QLORA) for family in FAMILIES), ("qwen3", HALF), ("qwen3", INT8)],
    ids=[*FAMILIES, "fp16", "int8"],
)
def test_a_fold_is_trained_loaded_and_merged(work_dir, architecture, changes):
    folder = make_language_model(work_dir / "backbone", architecture)
    experiment = make_format_experiment(folder, changes)
    create_folds(experiment)
    trained = train_fold(experiment, 0)
    stored = load_file(trained.path / "model.safetensors")
    assert all("lora_" in name or name.startswith("heads.") for name in stored)
    reference = json.loads((trained.path / "config.json").read_text())["reference"]
    assert {key: reference[key] for key in changes["model"]} == changes["model"]
    oof = pd.read_parquet(trained.oof).set_index("id")
    rows = pd.read_csv("train.csv").set_index("id").loc[oof.index]
    again = auxfold.load(trained.path).predict(rows, tasks="all")
    np.testing.assert_allclose(again["toxic"], oof["toxic"], atol=1e-5)

    texts = make_frame(20, 3)["text"]
    scores = auxfold.load(trained.path).predict(texts, tasks="all")
    merged = merge_fold(trained, Path("merged"))
    Path(folder).rename("gone")
    np.testing.assert_allclose(
        auxfold.load(merged.path).predict(texts, tasks="all"), scores, atol=1e-5
    )


@pytest.mark.parametrize("changes", [QLORA, HALF, INT8], ids=["qlora", "fp16", "int8"])
def test_a_resumed_training_ends_in_the_very_same_weights(work_dir, monkeypatch, changes):
    folder = make_language_model(work_dir / "backbone")
    experiment = make_format_experiment(folder, changes)
    create_folds(experiment)
    assert_resumes_exactly(experiment, monkeypatch, step=6)


def test_checkpointing_changes_no_weight_and_can_be_switched_on_when_resuming(
    work_dir, monkeypatch
):
    folder = make_language_model(work_dir / "backbone")
    plain = make_format_experiment(folder, HALF)
    create_folds(plain)
    weights = load_file(train_fold(plain, 0).path / "model.safetensors")
    checkpointed = make_format_experiment(
        folder, {**HALF, "train": {"gradient_checkpointing": True}}
    )
    assert checkpointed.fingerprint() == plain.fingerprint()
    again = load_file(train_fold(checkpointed, 0, overwrite=True).path / "model.safetensors")
    assert all((again[name] == weights[name]).all() for name in weights)


def test_nothing_is_said_about_formats_but_in_the_first_line(work_dir, capfd, caplog):
    folder = make_language_model(work_dir / "backbone")
    experiment = make_format_experiment(folder, QLORA)
    create_folds(experiment)
    capfd.readouterr()
    with caplog.at_level(logging.WARNING):
        train_fold(experiment, 0)
    printed = "".join(capfd.readouterr())
    assert "frozen in nf4 and bf16, fp32 on cpu" in printed
    assert "warn" not in printed.lower() and not caplog.records


def test_two_processes_train_what_one_does(work_dir):
    # Not quantized: bitsandbytes has threads of its own, which a forked process would wait for.
    model = {"dtype": "bf16", "head_dropout": 0.0}
    changes = {"model": model, "train": {"gradient_checkpointing": True}}
    experiment = make_format_experiment(make_language_model(work_dir / "backbone"), changes)
    create_folds(experiment)
    folder = train_fold(experiment, 0)
    whole, history = load_tensors(folder.path), load_history(folder)
    train_in_two_processes(experiment)
    assert_same_training(folder, whole, history)
