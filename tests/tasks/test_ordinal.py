"""Ordinal tasks: their start, their loss and their predictions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from auxfold.config import OrdinalSettings
from auxfold.model.cumulative import CumulativeHead
from auxfold.tasks import Task, create_task

LABELS = np.array([[0.0], [0.0], [1.0], [2.0], [2.0], [2.0], [np.nan]])


def make_task(**keys: object) -> Task:
    settings = {"name": "t", "kind": "ordinal", "columns": ["y"], "classes": ["1", "2", "3"]}
    return create_task(OrdinalSettings(**{**settings, **keys}))


def initial_probabilities(task: Task) -> np.ndarray:
    head = CumulativeHead(4, 3)
    head.set_cut_points(torch.from_numpy(task.initial_bias(LABELS)))
    return head(torch.zeros(1, 4)).exp().detach().numpy()[0]


def test_an_untrained_head_predicts_the_rates_of_the_classes():
    bias = make_task().initial_bias(LABELS)
    np.testing.assert_allclose(bias, [np.log(2 / 4), np.log(3 / 3)], atol=1e-6)
    np.testing.assert_allclose(initial_probabilities(make_task()), [2 / 6, 1 / 6, 3 / 6], atol=1e-6)
    weighted = make_task(class_weight="balanced").fit(LABELS)
    np.testing.assert_allclose(initial_probabilities(weighted), [1 / 3] * 3, atol=1e-6)


def test_a_class_without_rows_starts_rare_and_not_impossible():
    bias = make_task(classes=4).initial_bias(LABELS)
    assert np.isfinite(bias).all() and (np.diff(bias) > 0).all()


def test_the_loss_is_minus_the_logarithm_of_the_true_class():
    logs = torch.tensor([[0.2, 0.3, 0.5], [0.7, 0.2, 0.1]]).log()
    labels = torch.tensor([[2.0], [1.0]])
    losses = make_task().cell_losses(logs, labels)
    torch.testing.assert_close(losses, -torch.tensor([[0.5], [0.2]]).log())
    weighted = make_task(class_weight={"3": 2.0}).cell_losses(logs, labels)
    torch.testing.assert_close(weighted, losses * torch.tensor([[2.0], [1.0]]))


def test_predictions_are_a_column_per_class_and_the_class():
    task = make_task(classes=["bad", "fair", "good"])
    predictions = task.activate(np.log([[0.2, 0.3, 0.5], [0.7, 0.2, 0.1]]))
    columns = task.to_columns(predictions)
    assert list(columns) == ["y", "y_bad", "y_fair", "y_good"]
    assert columns["y"].tolist() == ["good", "bad"]
    np.testing.assert_allclose(columns["y_fair"], [0.3, 0.2])
    scores = task.compute_metrics(np.array([[1.0], [0.0]]), predictions)
    assert list(scores) == ["qwk", "mae", "accuracy", "within_one", "log_loss"]
    assert (scores["mae"], scores["accuracy"], scores["within_one"]) == (0.5, 0.5, 1.0)


def test_one_column_with_classes_is_needed():
    with pytest.raises(ValueError, match="an ordinal task has one column and 'classes'"):
        make_task(columns=["y", "z"])
    with pytest.raises(ValueError, match="'classes' is missing"):
        OrdinalSettings(name="t", kind="ordinal", columns=["y"])
