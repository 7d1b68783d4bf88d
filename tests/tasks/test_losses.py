"""The registry of losses has the names and keys that the experiment file has."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from auxfold.config import (
    BinarySettings,
    MulticlassSettings,
    RegressionSettings,
    TaskSettings,
)
from auxfold.tasks import create_task
from auxfold.tasks.losses import BINARY_LOSSES, MULTICLASS_LOSSES, REGRESSION_LOSSES
from auxfold.tasks.losses.loss import Loss

REGISTRIES = [
    (BinarySettings, BINARY_LOSSES),
    (MulticlassSettings, MULTICLASS_LOSSES),
    (RegressionSettings, REGRESSION_LOSSES),
]


@pytest.mark.parametrize(("settings", "losses"), REGISTRIES)
def test_the_experiment_file_has_the_losses_of_the_registry(
    settings: type[TaskSettings], losses: dict[str, type[Loss]]
):
    assert get_args(settings.model_fields["loss"].annotation) == tuple(losses)
    for loss in losses.values():
        assert set(loss.keys) <= set(settings.model_fields)


@pytest.mark.parametrize(("settings", "losses"), REGISTRIES)
def test_the_experiment_file_refuses_the_keys_that_a_loss_does_not_read(settings, losses):
    if "loss" in settings.READ_BY:
        assert settings.READ_BY["loss"] == {name: loss.keys for name, loss in losses.items()}


@pytest.mark.parametrize(
    ("kind", "name"),
    [("binary", name) for name in BINARY_LOSSES]
    + [("regression", name) for name in REGRESSION_LOSSES],
)
def test_every_loss_gives_a_loss_per_cell_with_a_gradient(kind, name):
    settings = {"binary": BinarySettings, "regression": RegressionSettings}[kind]
    columns = ["y"] if name == "metric_shaped" else ["y", "z"]
    task = create_task(settings(name="t", kind=kind, columns=columns, loss=name))
    logits = torch.zeros((3, task.head_width), requires_grad=True)
    labels = torch.tensor([[1.0, 0.0], [0.25, 1.0], [0.75, 0.75]])[:, : len(columns)]
    cells = task.cell_losses(logits, labels)
    assert cells.shape == labels.shape and (cells >= 0).all()
    cells.sum().backward()
    assert logits.grad.isfinite().all() and (logits.grad != 0).any()
