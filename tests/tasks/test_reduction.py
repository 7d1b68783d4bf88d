"""The loss of a batch of labels is that of a training step, for every kind of task."""

from __future__ import annotations

import json
from typing import Any, get_args

import numpy as np
import pytest
import torch

from auxfold.config import AnyTask
from auxfold.data.table import Table
from auxfold.errors import InputError
from auxfold.tasks import KINDS, Task, TaskSet, create_task
from auxfold.tasks.kinds import task_from_record, task_to_record
from auxfold.tasks.reduction import batch_loss
from auxfold.training.objective import Objective

REQUIRED_KEYS = {
    "multiclass": {"classes": ["a", "b", "c"]},
    "ordinal": {"classes": ["a", "b", "c"]},
    "tags": {"tags": ["u", "v"], "cell_format": "json"},
}
CASES: list[dict[str, Any]] = [
    *({"kind": kind, "columns": ["y"], **REQUIRED_KEYS.get(kind, {})} for kind in KINDS),
    {"kind": "binary", "columns": ["y", "z"], "pos_weight": "balanced"},
    {"kind": "binary", "columns": ["y", "z"], "pos_weight": [2.0, 3.0], "reduction": "sum"},
    {"kind": "binary", "columns": ["y", "z"], "label_weights": [0.5, 2.0], "weight": 0.25},
    {"kind": "binary", "columns": ["y"], "loss": "focal", "label_smoothing": 0.1},
    {"kind": "binary", "columns": ["y", "z"], "loss": "binned", "bins": 5},
    {"kind": "multiclass", "columns": ["y"], "classes": ["a", "b"], "label_smoothing": 0.2},
    {"kind": "multiclass", "columns": ["y", "z"], "class_weight": "balanced"},
    {
        "kind": "multiclass",
        "columns": ["y"],
        "classes": 3,
        "class_weight": [1.0, 2.0, 3.0],
        "divide_by_weight_sum": True,
    },
    {"kind": "multiclass", "columns": ["y"], "classes": 3, "loss": "focal"},
    {"kind": "regression", "columns": ["y", "z"], "loss": "huber", "huber_delta": 0.3},
    {"kind": "regression", "columns": ["y", "z"], "standardize": False, "reduction": "sum"},
]


def make_task(settings: dict[str, Any]) -> Task:
    union, *_ = get_args(AnyTask)
    classes = {get_args(s.model_fields["kind"].annotation)[0]: s for s in get_args(union)}
    return create_task(classes[settings["kind"]](name="t", **settings))


def make_labels(task: Task, rows: int = 12) -> np.ndarray:
    """Labels that suit the task, one of them missing in every column."""
    random = np.random.default_rng(0)
    n_columns, names = len(task.settings.label_columns), task.class_names
    if names is not None and n_columns == 1:
        labels = random.permutation(np.arange(rows) % len(names))[:, None].astype(np.float32)
    else:
        labels = random.random((rows, n_columns)).astype(np.float32)
    if names is not None and n_columns == len(names):
        labels /= labels.sum(axis=1, keepdims=True)  # a share of every class
    labels[np.arange(n_columns), np.arange(n_columns)] = np.nan
    return labels


@pytest.mark.parametrize("settings", CASES, ids=lambda s: "-".join(map(str, s.values())))
def test_the_loss_of_a_batch_is_that_of_a_training_step(settings):
    task = make_task(settings)
    labels = make_labels(task)
    fitted = task.fit(labels)
    ids = np.array([str(i) for i in range(len(labels))], dtype=object)
    ones, none = np.ones(len(labels), np.float32), np.empty((len(labels), 0), np.float32)
    table = Table("t", ids, [["x"] * len(ids)], labels, ones, {}, None, none)
    step_loss = Objective(TaskSet([fitted]), table).for_step(np.arange(len(labels)))
    logits = torch.randn(len(labels), task.head_width, generator=torch.manual_seed(0))
    expected = step_loss({"t": logits}, np.arange(len(labels)))["t"] / task.settings.weight
    stored = task_from_record(json.loads(json.dumps(task_to_record(fitted))))
    assert type(stored) is type(task) and stored.settings == task.settings
    loss = batch_loss(stored, logits, torch.from_numpy(labels))
    torch.testing.assert_close(loss, expected)
    assert loss > 0


def test_a_missing_label_counts_in_nothing():
    task = make_task({"kind": "binary", "columns": ["y"]})
    logits = torch.tensor([[0.0], [5.0]])
    loss = batch_loss(task, logits, torch.tensor([1.0, float("nan")]))
    torch.testing.assert_close(loss, torch.tensor(np.log(2), dtype=torch.float32))
    assert batch_loss(task, logits, torch.full((2,), float("nan"))) == 0
    classes = make_task({"kind": "multiclass", "columns": ["y"], "classes": ["a", "b"]})
    loss = batch_loss(classes, torch.zeros(2, 2), torch.tensor([1, -100]))
    torch.testing.assert_close(loss, torch.tensor(np.log(2), dtype=torch.float32))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"columns": ["y", "z"]}, r"shape \(2, 1\); task 't' expects .* \(2, 2\): y, z"),
        ({"columns": ["y"], "pos_weight": "rarity"}, "needs rarity of every row"),
        ({"columns": ["y"], "loss": "metric_shaped"}, "needs the identities of every row"),
    ],
)
def test_labels_that_do_not_suffice_are_refused(settings, expected):
    task = make_task({"kind": "binary", **settings})
    with pytest.raises(InputError, match=expected):
        batch_loss(task, torch.zeros(2, task.head_width), torch.zeros(2, 1))
