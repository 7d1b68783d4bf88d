"""The objective equals its formula, however a step is cut, and weights scale gradients."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from auxfold.data.table import Table
from auxfold.tasks import TaskSet
from auxfold.training.objective import Objective
from conftest import make_experiment

NAN = float("nan")


def make_table(labels, sample_weights=None, task_weights=None) -> Table:
    labels = np.array(labels, dtype=np.float32)
    n = len(labels)
    weights = np.ones(n) if sample_weights is None else np.array(sample_weights)
    by_task = {k: np.array(v, dtype=np.float32) for k, v in (task_weights or {}).items()}
    ids = np.array([str(i) for i in range(n)], dtype=object)
    none = np.empty((n, 0), dtype=np.float32)
    return Table("t", ids, [["x"] * n], labels, weights.astype(np.float32), by_task, None, none)


def make_objective(table: Table, **task_changes) -> Objective:
    experiment = make_experiment("t", "b", tasks=[
        {"name": "main", "kind": "binary", "columns": ["toxic"], "main": True},
        {"name": "aux", "kind": "binary", "columns": ["insult", "threat"], **task_changes},
    ])  # fmt: skip
    return Objective(TaskSet.from_experiment(experiment), table)


def gradients(
    objective: Objective, logits: np.ndarray, parts: list[list[int]]
) -> tuple[float, np.ndarray]:
    """The loss and gradient of a step whose rows come in micro-batches."""
    leaf = torch.tensor(logits, dtype=torch.float32, requires_grad=True)
    step_loss = objective.for_step(np.arange(len(logits)))
    total = 0.0
    for part in parts:
        rows = np.array(part)
        losses = step_loss({"main": leaf[rows, :1], "aux": leaf[rows, 1:]}, rows)
        loss = torch.stack(list(losses.values())).sum()
        loss.backward()
        total += float(loss.detach())
    return total, leaf.grad.numpy()


def bce(logit: float, label: float) -> float:
    p = 1 / (1 + np.exp(-logit))
    return float(-(label * np.log(p) + (1 - label) * np.log(1 - p)))


LOGITS = np.array([[0.3, -1.0, 2.0], [1.5, 0.2, -0.4], [-0.7, 0.9, 0.1]])
LABELS = [[1.0, 0.25, NAN], [0.0, NAN, 1.0], [0.8, 1.0, 0.0]]


def test_mean_is_main_plus_weighted_auxiliary_by_hand():
    loss, _ = gradients(make_objective(make_table(LABELS), weight=0.25), LOGITS, [[0, 1, 2]])
    main = (bce(0.3, 1) + bce(1.5, 0) + bce(-0.7, 0.8)) / 3
    aux = (bce(-1, 0.25) + bce(-0.4, 1) + bce(0.9, 1) + bce(0.1, 0)) / 4  # 4 labeled cells
    assert loss == pytest.approx(main + 0.25 * aux, abs=1e-6)


def test_weight_one_and_mean_is_the_plain_two_headed_loss():
    """Main ``Linear(h, 1)`` and auxiliary ``Linear(h, n)``, mean BCE + mean BCE, one to one."""
    torch.manual_seed(0)
    features = torch.randn(6, 5)
    labels = torch.rand(6, 3)
    theirs = [torch.nn.Linear(5, 1), torch.nn.Linear(5, 2)]
    ours = [torch.nn.Linear(5, 1), torch.nn.Linear(5, 2)]
    for head, other in zip(ours, theirs, strict=True):
        head.load_state_dict(other.state_dict())
    bce_mean = torch.nn.functional.binary_cross_entropy_with_logits
    expected = bce_mean(theirs[0](features), labels[:, :1])
    expected = expected + bce_mean(theirs[1](features), labels[:, 1:])
    expected.backward()

    objective = make_objective(make_table(labels.numpy()), weight=1.0, reduction="mean")
    rows = np.arange(6)
    losses = objective.for_step(rows)({"main": ours[0](features), "aux": ours[1](features)}, rows)
    loss = losses["main"] + losses["aux"]
    loss.backward()
    torch.testing.assert_close(loss, expected)
    for head, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(head.weight.grad, other.weight.grad)
        torch.testing.assert_close(head.bias.grad, other.bias.grad)


def test_sum_counts_each_column_in_full():
    loss, _ = gradients(make_objective(make_table(LABELS), reduction="sum"), LOGITS, [[0, 1, 2]])
    main = (bce(0.3, 1) + bce(1.5, 0) + bce(-0.7, 0.8)) / 3
    aux = (bce(-1, 0.25) + bce(0.9, 1)) / 2 + (bce(-0.4, 1) + bce(0.1, 0)) / 2
    assert loss == pytest.approx(main + aux, abs=1e-6)


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(data=st.data())
def test_any_cut_into_micro_batches_gives_the_big_batch(data):
    n = data.draw(st.integers(2, 7))
    random = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    labels = random.random((n, 3))
    labels[random.random((n, 3)) < 0.4] = np.nan
    logits = random.normal(size=(n, 3))
    reduction = data.draw(st.sampled_from(["mean", "sum"]))
    normalize = data.draw(st.booleans())
    weights = random.random(n) + 0.1
    objective = make_objective(
        make_table(labels, weights), reduction=reduction, divide_by_weight_sum=normalize
    )
    cuts = sorted(data.draw(st.sets(st.integers(1, n - 1))))
    order = random.permutation(n)
    parts = [list(p) for p in np.split(order, cuts)]
    whole_loss, whole = gradients(objective, logits, [list(range(n))])
    cut_loss, cut = gradients(objective, logits, parts)
    assert cut_loss == pytest.approx(whole_loss, abs=1e-5)
    np.testing.assert_allclose(cut, whole, atol=1e-6)


def test_a_step_without_a_label_of_a_task_adds_exactly_nothing():
    labels = [[1.0, NAN, NAN], [0.0, NAN, NAN]]
    for reduction in ("mean", "sum"):
        loss, gradient = gradients(
            make_objective(make_table(labels), reduction=reduction), LOGITS[:2], [[0], [1]]
        )
        assert np.isfinite(loss)
        assert (gradient[:, 1:] == 0.0).all()
        assert (gradient[:, 0] != 0.0).all()


def test_missing_is_not_zero():
    with_nan = gradients(make_objective(make_table(LABELS)), LOGITS, [[0, 1, 2]])[1]
    with_zero = gradients(make_objective(make_table(np.nan_to_num(LABELS))), LOGITS, [[0, 1, 2]])[1]
    assert with_nan[0, 2] == 0.0
    assert with_zero[0, 2] != 0.0


def test_soft_labels_are_trained_on_as_they_are():
    gradient = gradients(make_objective(make_table([[0.3, 1, 1]])), np.zeros((1, 3)), [[0]])[1]
    assert gradient[0, 0] == pytest.approx(0.5 - 0.3)


def test_doubling_each_kind_of_weight_doubles_its_gradient():
    plain = gradients(make_objective(make_table(LABELS)), LOGITS, [[0, 1, 2]])[1]
    task = gradients(make_objective(make_table(LABELS), weight=2.0), LOGITS, [[0, 1, 2]])[1]
    np.testing.assert_allclose(task[:, 1:], 2 * plain[:, 1:], rtol=1e-5)
    np.testing.assert_allclose(task[:, 0], plain[:, 0], rtol=1e-5)
    twice = make_objective(make_table(LABELS), label_weights=[2.0, 1.0])
    column = gradients(twice, LOGITS, [[0, 1, 2]])[1]
    np.testing.assert_allclose(column[:, 1], 2 * plain[:, 1], rtol=1e-5)
    np.testing.assert_allclose(column[:, [0, 2]], plain[:, [0, 2]], rtol=1e-5)
    row = gradients(make_objective(make_table(LABELS, [1, 2, 1])), LOGITS, [[0, 1, 2]])[1]
    np.testing.assert_allclose(row[1], 2 * plain[1], rtol=1e-5)
    np.testing.assert_allclose(row[[0, 2]], plain[[0, 2]], rtol=1e-5)
    by_task = gradients(
        make_objective(make_table(LABELS, task_weights={"aux": [1, 2, 1]})), LOGITS, [[0, 1, 2]]
    )[1]
    np.testing.assert_allclose(by_task[1, 1:], 2 * plain[1, 1:], rtol=1e-5)
    np.testing.assert_allclose(by_task[:, 0], plain[:, 0], rtol=1e-5)


def test_constant_row_weights_cancel_only_when_divided():
    plain = gradients(make_objective(make_table(LABELS)), LOGITS, [[0, 1, 2]])[1]
    three = make_table(LABELS, [3, 3, 3])
    named = gradients(make_objective(three, divide_by_weight_sum=True), LOGITS, [[0, 1, 2]])[1]
    np.testing.assert_allclose(named[:, 1:], plain[:, 1:], rtol=1e-5)
    unnamed = gradients(make_objective(three), LOGITS, [[0, 1, 2]])[1]
    np.testing.assert_allclose(unnamed, 3 * plain, rtol=1e-5)
