"""Losses of binary tasks by name: values and gradients by hand, weights of positives, bins."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from auxfold.config import BinarySettings
from auxfold.data.loading import read_training_table
from auxfold.errors import InputError
from auxfold.model.binned import logit_of_expectation
from auxfold.tasks import TaskSet
from auxfold.tasks.binary import BinaryTask
from auxfold.tasks.losses import BINARY_LOSSES
from auxfold.training.objective import Objective
from conftest import make_experiment, make_frame

NAN = float("nan")
LOSSES = [repr(name) for name in BINARY_LOSSES]


def task_of(*columns: str, **changes) -> BinaryTask:
    names = list(columns) or ["y"]
    return BinaryTask(BinarySettings(name="t", kind="binary", columns=names, **changes))


def losses(task: BinaryTask, logits, labels, **keywords) -> np.ndarray:
    logits = torch.tensor(logits, dtype=torch.float64)
    return task.cell_losses(logits, torch.tensor(labels, dtype=torch.float64), **keywords).numpy()


def slopes(task: BinaryTask, logits: list, labels: list) -> np.ndarray:
    leaf = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    task.cell_losses(leaf, torch.tensor(labels, dtype=torch.float64)).sum().backward()
    return leaf.grad.numpy()


def sigmoid(z):
    return 1 / (1 + np.exp(-np.asarray(z, dtype=float)))


# ---- focal


def test_focal_of_hard_labels_is_lins_loss():
    z = np.array([[-1.5], [0.3], [2.0], [0.7]])
    y = np.array([[1.0], [1.0], [0.0], [0.0]])
    right_probability = np.where(y == 1, sigmoid(z), 1 - sigmoid(z))
    cells = losses(task_of(loss="focal", focal_gamma=3.0), z, y)
    np.testing.assert_allclose(
        cells, -((1 - right_probability) ** 3) * np.log(right_probability), rtol=1e-9
    )
    # d/dp of it, times dp/dz = p(1 - p), towards the right class.
    slope = (1 - right_probability) ** 3 * (
        3 * right_probability * np.log(right_probability) + right_probability - 1
    )
    slope_of_task = slopes(task_of(loss="focal", focal_gamma=3.0), z.tolist(), y.tolist())
    np.testing.assert_allclose(slope_of_task, slope * np.where(y == 1, 1, -1), rtol=1e-6)


def test_focal_of_a_soft_label_is_least_at_the_label():
    task = task_of(loss="focal")
    p = np.array([[0.1], [0.25], [0.3], [0.35], [0.8]])
    cells = losses(task, np.log(p / (1 - p)), np.full_like(p, 0.3))
    assert cells.argmin() == 2 and cells[2] < 1e-9
    bce = -(0.3 * np.log(p) + 0.7 * np.log(1 - p))
    np.testing.assert_allclose(cells, (p - 0.3) ** 2 * bce, atol=1e-9)


def test_focal_with_gamma_zero_is_bce():
    z, y = [[-1.5, 0.2]], [[1.0, 0.3]]
    tasks = [task_of("a", "b"), task_of("a", "b", loss="focal", focal_gamma=0.0)]
    np.testing.assert_allclose(*(losses(task, z, y) for task in tasks), rtol=1e-12)
    np.testing.assert_allclose(*(slopes(task, z, y) for task in tasks), rtol=1e-12)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_has_a_finite_slope_wherever_it_is(gamma):
    z = torch.tensor([[-120.0, 120.0, -120.0, 120.0, 0.0]], requires_grad=True)
    task = task_of(*"abcde", loss="focal", focal_gamma=gamma)
    task.cell_losses(z, torch.tensor([[0.0, 1.0, 1.0, 0.0, 0.5]])).sum().backward()
    assert z.grad.isfinite().all()


# ---- the weight of positives


def test_a_positive_weight_multiplies_the_positive_part():
    z, y = [[-1.0, 0.5], [2.0, -0.2]], [[1.0, 0.25], [0.0, 1.0]]
    p, y_ = sigmoid(z), np.array(y)
    positive, negative = -y_ * np.log(p), -(1 - y_) * np.log(1 - p)
    cells = losses(task_of("a", "b", pos_weight=3.0), z, y)
    np.testing.assert_allclose(cells, 3 * positive + negative, rtol=1e-6)
    cells = losses(task_of("a", "b", pos_weight=[3.0, 0.5]), z, y)
    np.testing.assert_allclose(cells, np.array([3, 0.5]) * positive + negative, rtol=1e-6)
    cells = losses(task_of("a", "b"), z, y, pos_weight=torch.tensor([[3.0], [0.5]]))
    np.testing.assert_allclose(cells, np.array([[3], [0.5]]) * positive + negative, rtol=1e-6)
    focal = losses(task_of("a", "b", pos_weight=3.0, loss="focal"), z, y)
    np.testing.assert_allclose(focal, (y_ - p) ** 2 * (3 * positive + negative), rtol=1e-6)


def test_by_its_rate_a_label_has_as_much_of_yes_as_of_no():
    labels = np.array([[1.0, 0.5], [0.0, NAN], [0.0, 0.1], [0.0, 0.0]])
    task = task_of("a", "b", pos_weight="balanced")
    task.fit(labels)
    np.testing.assert_allclose(task.pos_weight, [3.0, 2.4 / 0.6], rtol=1e-6)
    # With learned weights a constant prediction of one half is best: the heads start there.
    np.testing.assert_allclose(task.initial_bias(labels), [0.0, 0.0], atol=1e-6)
    assert np.isfinite(task_of("c", pos_weight="balanced").initial_bias(labels[:, :1])).all()


def test_a_label_without_a_positive_row_in_the_fold_has_a_finite_weight():
    task = task_of(pos_weight="balanced")
    task.fit(np.zeros((4, 1)))
    assert task.pos_weight == pytest.approx(7.0)  # as of half a row
    assert losses(task, [[0.3]], [[0.0]]) == losses(task_of(), [[0.3]], [[0.0]])


def test_a_column_of_the_file_weighs_the_positives_row_by_row(work_dir):
    heavy, threat = [1.0, 2.0, 4.0, 0.5, 1.0, 1.0, 3.0, 0.0], [1, 0, 1, 0.4, 0, 1, 1, 1]
    frame = make_frame(8).assign(heavy=heavy, threat=threat)
    frame.to_csv("weighted.csv", index=False)
    tasks = [{"name": "main", "kind": "binary", "columns": ["threat"], "pos_weight": "heavy"}]
    experiment = make_experiment("weighted.csv", "b", tasks=tasks)
    table = read_training_table(experiment)
    objective = Objective(TaskSet.from_experiment(experiment), table)
    leaf = torch.zeros((8, 1), requires_grad=True)
    rows = np.arange(8)
    objective.for_step(rows)({"main": leaf}, rows)["main"].backward()
    y, w = frame["threat"], frame["heavy"]
    np.testing.assert_allclose(leaf.grad[:, 0], (-w * y * 0.5 + (1 - y) * 0.5) / 8, atol=1e-7)
    plain = read_training_table(make_experiment("weighted.csv", "b", tasks=[{**tasks[0],
                       "pos_weight": 1.0}]))  # fmt: skip
    assert table.fingerprint() != plain.fingerprint()
    np.testing.assert_array_equal(table.take(rows[::-1]).pos_weights["main"], w[::-1])
    wrong = [{**tasks[0], "pos_weight": "haevy"}]
    with pytest.raises(InputError, match=r"no column 'haevy' \(did you mean 'heavy'\?\)"):
        read_training_table(make_experiment("weighted.csv", "b", tasks=wrong))
    frame.assign(heavy=-1.0).to_csv("weighted.csv", index=False)
    with pytest.raises(InputError, match="column 'heavy', row 1: a row weight must be a number"):
        read_training_table(experiment)


# ---- binned


def test_a_label_belongs_to_the_nearest_bin_half_way_to_the_upper_one():
    logits = torch.log(torch.arange(1.0, 12.0))[None]
    for label, index in ((0.0, 0), (0.04, 0), (0.05, 1), (1 / 6, 2), (0.5, 5), (0.96, 10), (1, 10)):
        cell = task_of(loss="binned").cell_losses(logits, torch.tensor([[float(label)]]))
        assert float(cell) == pytest.approx(np.log(66 / (index + 1)), rel=1e-5), label


def test_binned_is_the_cross_entropy_of_each_columns_own_outputs():
    task = task_of("a", "b", loss="binned", bins=3)
    assert task.head_width == 6 and task.n_outputs == 2
    z = np.array([[0.0, 1.0, 2.0, -1.0, 0.5, 0.0]])
    chances = np.exp(z.reshape(2, 3)) / np.exp(z.reshape(2, 3)).sum(axis=1, keepdims=True)
    cells = losses(task, z, [[1.0, 0.5]])
    np.testing.assert_allclose(cells, [[-np.log(chances[0, 2]), -np.log(chances[1, 1])]])
    slope = slopes(task, z.tolist(), [[1.0, 0.5]])
    np.testing.assert_allclose(slope.reshape(2, 3), chances - [[0, 0, 1], [0, 1, 0]], rtol=1e-6)
    weighted = losses(task_of("a", "b", loss="binned", bins=3, pos_weight=3.0), z, [[1, 0.5]])
    np.testing.assert_allclose(weighted, cells * [[3, 2]], rtol=1e-6)
    smooth = losses(task_of("a", "b", loss="binned", bins=3, label_smoothing=0.3), z, [[1, 0.5]])
    expected = -0.7 * np.log(chances[[0, 1], [2, 1]]) - 0.1 * np.log(chances).sum(axis=1)
    np.testing.assert_allclose(smooth[0], expected, rtol=1e-6)


def test_the_prediction_is_the_expectation():
    outputs = torch.log(torch.tensor([[0.2, 0.5, 0.3, 1.0, 1.0, 2.0]]))
    predictions = task_of("a", "b").activate(logit_of_expectation(outputs, 3).numpy())
    np.testing.assert_allclose(predictions, [[0.25 + 0.3, 0.125 + 0.5]], rtol=1e-6)


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(outputs=st.lists(st.floats(-80, 80), min_size=11, max_size=11))
def test_the_logit_of_the_expectation_does_not_lose_its_tails(outputs):
    z = np.array(outputs)
    chances = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
    centers = np.arange(11) / 10
    expected = np.log((chances * centers).sum()) - np.log((chances * (1 - centers)).sum())
    logit = logit_of_expectation(torch.tensor(z[None], dtype=torch.float64), 11)
    assert float(logit) == pytest.approx(expected, abs=1e-6)


def test_an_untrained_binned_head_predicts_the_mean_of_the_bins():
    labels = np.array([[0.0, 1.0]] * 90 + [[0.5, NAN]] * 10)
    task = task_of("a", "b", loss="binned", bins=3)
    bias = torch.from_numpy(task.initial_bias(labels))[None]
    predictions = task.activate(logit_of_expectation(bias, 3).numpy())[0]
    np.testing.assert_allclose(predictions, [(10 * 0.5 + 0.5) / 100.5, (90 + 0.25) / 91], rtol=1e-5)


# ---- settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"focal_gamma": 1.0}, "focal_gamma is not read by loss = 'bce', but by focal"),
        ({"loss": "focal", "bins": 5}, "bins is not read by loss = 'focal', but by binned"),
        ({"loss": "hinge"}, f"{', '.join(LOSSES[:-1])} or {LOSSES[-1]}"),
        ({"pos_weight": 0}, "pos_weight = 0: expected a number > 0, a list"),
        ({"pos_weight": True}, "expected a number > 0"),
        ({"pos_weight": [1.0, 2.0]}, "pos_weight has 2 numbers for 1 columns"),
        ({"loss": "metric_shaped"}, "needs identities.columns, which are empty"),
        ({"loss": "metric_shaped", "columns": ["a", "b"]}, "for a task of one column"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes, message):
    task = {"name": "main", "kind": "binary", "columns": ["y"], **changes}
    with pytest.raises(InputError, match=message):
        make_experiment("t", "b", tasks=[task])
