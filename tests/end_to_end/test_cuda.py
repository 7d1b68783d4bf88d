"""On a GPU: captured steps and the padding-free forward train the same model."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from auxfold.config.experiment import Experiment
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from conftest import load_history, make_backbone, make_experiment

pytestmark = pytest.mark.cuda
FAMILIES = ["bert", "roberta", "modernbert", "deberta-v2"]
NO_DROPOUT = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "head_dropout": 0.0}


def make_variant(backbone: str, name: str, model: dict, train: dict) -> Experiment:
    """Fixed settings, in a run folder of its own."""
    return make_experiment(
        "train.csv", backbone, name=name, model={**NO_DROPOUT, **model}, train=train
    )


def train_variant(backbone: str, name: str, model: dict, **train: object) -> tuple[dict, list]:
    """The weights of fold 0 and its history."""
    experiment = make_variant(backbone, name, model, {"compile": "off", **train})
    create_folds(experiment)
    folder = train_fold(experiment, 0)
    return load_file(folder.path / "model.safetensors"), load_history(folder)


@pytest.mark.parametrize("family", FAMILIES)
def test_without_padding_the_weights_are_those_of_the_module(work_dir, family):
    """In fp32 and without dropout, up to the order of sums."""
    backbone = make_backbone(work_dir / "backbone", family)
    plain, plain_history = train_variant(backbone, "plain", {"padding_free": "off"})
    fast, history = train_variant(backbone, "fast", {}, cuda_graphs="off")
    for name, values in plain.items():
        torch.testing.assert_close(fast[name], values, atol=5e-4, rtol=1e-2)
    for record, expected in zip(history, plain_history, strict=True):
        assert record["gradient_norm"] == pytest.approx(expected["gradient_norm"], rel=1e-2)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_captured_steps_train_as_steps_that_are_not_captured(work_dir, family, precision):
    backbone = make_backbone(work_dir / "backbone", family)
    eager, eager_history = train_variant(
        backbone, "eager", {}, cuda_graphs="off", precision=precision, batch_size=4
    )
    captured, history = train_variant(backbone, "captured", {}, precision=precision, batch_size=4)
    tolerance = 5e-4 if precision == "fp32" else 5e-3
    for name, values in eager.items():
        torch.testing.assert_close(captured[name], values, atol=tolerance, rtol=1e-2)
    for record, expected in zip(history, eager_history, strict=True):
        assert record["train_loss"] == pytest.approx(expected["train_loss"], rel=2e-2)


def test_steps_are_captured_and_nothing_is_said(work_dir, capsys):
    backbone = make_backbone(work_dir / "backbone", "bert")
    train_variant(backbone, "captured", {}, precision="bf16", batch_size=4)
    assert "cannot be captured" not in capsys.readouterr().out


def test_dropout_is_drawn_anew_in_every_replay(work_dir):
    """With a learning rate of 0 the losses differ only by the dropout masks."""
    backbone = make_backbone(work_dir / "backbone", "bert")
    dropout = {"hidden_dropout": 0.5, "head_dropout": 0.5}
    _, history = train_variant(
        backbone, "dropout", dropout, batch_size=30, learning_rate=1e-12, epochs=8
    )
    losses = [record["train_loss"]["main"] for record in history]
    assert len({round(loss, 7) for loss in losses[-4:]}) == 4
