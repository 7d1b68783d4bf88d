"""Weights of classes, shares as labels, and the focal loss of classes, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from auxfold.config import MulticlassSettings
from auxfold.config.experiment import experiment_from_dict
from auxfold.data.table import Table
from auxfold.errors import InputError
from auxfold.tasks import Task, TaskSet, create_task
from auxfold.training.objective import Objective

HARD = np.array([[0.0], [1.0], [2.0], [2.0], [2.0], [np.nan]])
SHARES = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.0, 0.5, 0.5], [np.nan] * 3])


def make_task(columns: tuple[str, ...] = ("y",), **keys: object) -> Task:
    classes = {"classes": ["a", "b", "c"]} if len(columns) == 1 else {}
    settings = {"name": "t", "kind": "multiclass", "columns": list(columns), **classes, **keys}
    return create_task(MulticlassSettings(**settings))


def make_shares_task(**keys: object) -> Task:
    return make_task(("a", "b", "c"), **keys)


def random_logits(rows: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(rows, 3))).float()


# ---- weights of classes


def test_balanced_weights_are_those_of_scikit_learn():
    known = HARD[:-1, 0].astype(int)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=known)
    balanced = make_task(class_weight="balanced").fit(HARD)
    np.testing.assert_allclose(balanced.class_weight, expected)
    np.testing.assert_allclose(balanced.class_weight, [5 / 3, 5 / 3, 5 / 9])
    rooted = make_task(class_weight="sqrt_balanced").fit(HARD)
    np.testing.assert_allclose(rooted.class_weight, np.sqrt(expected))


def test_a_class_without_rows_has_the_weight_one_and_changes_no_other():
    task = make_task(class_weight="balanced").fit(np.array([[0.0], [0.0], [1.0]]))
    np.testing.assert_allclose(task.class_weight, [3 / 4, 3 / 2, 1])


def test_weights_of_shares_count_the_shares():
    task = make_shares_task(class_weight="balanced").fit(SHARES)
    np.testing.assert_allclose(task.class_weight, [3 / (3 * 1.2), 3 / (3 * 0.8), 1.0])


@pytest.mark.parametrize("weights", [[1.0, 4.0, 0.5], {"b": 4.0, "c": 0.5}])
def test_a_weight_multiplies_the_loss_of_its_class(weights):
    logits, labels = random_logits(5), torch.from_numpy(HARD[:5]).float()
    plain = make_task().cell_losses(logits, labels)
    weighted = make_task(class_weight=weights).cell_losses(logits, labels)
    expected = plain * torch.tensor([1.0, 4.0, 0.5])[labels[:, 0].long()][:, None]
    torch.testing.assert_close(weighted, expected)


def test_unknown_classes_and_numbers_that_are_no_weights_are_refused():
    task = {"name": "t", "kind": "multiclass", "columns": ["y"], "classes": ["a", "b"]}
    problems = {
        "class_weight names 'c', which is no class; classes: a, b": {"c": 2.0},
        "class_weight has 3 numbers for 2 classes": [1, 2, 3],
        "expected numbers > 0": [1, 0],
        "'balanced' or 'sqrt_balanced'": "balance",
    }
    for message, value in problems.items():
        raw = {"name": "e", "data": {"train": "t.csv"}, "tasks": [{**task, "class_weight": value}]}
        with pytest.raises(InputError, match=message):
            experiment_from_dict(raw, "e.toml")


def test_heads_start_where_the_weighted_loss_is_lowest():
    weights = np.array([1.0, 4.0, 0.5])
    bias = make_task(class_weight=weights.tolist()).initial_bias(HARD)
    rates = np.array([1, 1, 3]) * weights
    np.testing.assert_allclose(np.exp(bias), rates / rates.sum(), rtol=1e-6)
    logits = torch.tensor(bias).repeat(5, 1).requires_grad_()
    labels = torch.from_numpy(HARD[:5]).float()
    make_task(class_weight=weights.tolist()).cell_losses(logits, labels).sum().backward()
    np.testing.assert_allclose(logits.grad.sum(dim=0), 0, atol=1e-6)


def make_table(labels: np.ndarray, weights: np.ndarray) -> Table:
    n = len(labels)
    return Table(
        path="t.csv",
        ids=np.arange(n).astype(str).astype(object),
        texts=[["x"] * n],
        labels=labels.astype(np.float32),
        sample_weights=weights.astype(np.float32),
        task_weights={},
        groups=None,
        identities=np.empty((n, 0), dtype=np.float32),
    )


@pytest.mark.parametrize("divided", [False, True])
@pytest.mark.parametrize("is_soft", [False, True])
def test_the_objective_is_the_sum_by_hand(divided, is_soft):
    """Divided by the rows with a label, or by the sum of their weights, class weights included."""
    make = make_shares_task if is_soft else make_task
    labels = SHARES if is_soft else HARD
    task = make(class_weight=[1.0, 4.0, 0.5], divide_by_weight_sum=divided)
    row_weights = np.arange(1.0, len(labels) + 1)
    objective = Objective(TaskSet([task]), make_table(labels, row_weights))
    indices, logits = np.arange(len(labels)), random_logits(len(labels))
    loss = objective.for_step(indices)({"t": logits}, indices)["t"]
    logs = logits.log_softmax(dim=1).numpy().astype(np.float64)
    total = weight_sum = 0.0
    n_labeled = len(labels) - 1  # the last row has no label
    for row in range(n_labeled):
        shares = labels[row] if is_soft else np.eye(3)[int(labels[row, 0])]
        total -= row_weights[row] * (shares * [1.0, 4.0, 0.5] * logs[row]).sum()
        weight_sum += row_weights[row] * (shares * [1.0, 4.0, 0.5]).sum()
    expected = total / (weight_sum if divided else n_labeled)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_a_stored_task_has_the_weights_that_it_learned():
    task = make_task(class_weight="balanced").fit(HARD)
    loaded = make_task(class_weight="balanced").load_state_dict(task.state_dict())
    np.testing.assert_array_equal(loaded.class_weight, task.class_weight)


# ---- the focal loss


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_the_focal_loss_of_classes_by_hand(gamma):
    logits, labels = random_logits(5), torch.from_numpy(HARD[:5]).float()
    probability = logits.softmax(dim=1).gather(1, labels.long())
    expected = -((1 - probability) ** gamma) * probability.log()
    task = make_task(loss="focal", focal_gamma=gamma)
    torch.testing.assert_close(task.cell_losses(logits, labels), expected)


def test_the_focal_loss_of_shares_is_lowest_at_the_shares():
    labels = torch.tensor([[0.2, 0.3, 0.5]])
    task = make_shares_task(loss="focal")
    distance = 0.5 * (labels - torch.full((1, 3), 1 / 3)).abs().sum()
    uniform = task.cell_losses(torch.zeros(1, 3), labels)
    assert float(uniform) == pytest.approx(float(distance**2 * np.log(3)), rel=1e-5)
    assert float(task.cell_losses(labels.log(), labels)) < 1e-9 < float(uniform)
    logits = torch.zeros((1, 3), requires_grad=True)
    task.cell_losses(logits, labels).sum().backward()
    assert logits.grad.isfinite().all() and (logits.grad != 0).any()


def test_the_focal_loss_of_two_shares_is_that_of_a_binary_label():
    settings = {"name": "t", "kind": "multiclass", "columns": ["no", "yes"], "loss": "focal"}
    classes = create_task(MulticlassSettings(**settings))
    raw = {"name": "b", "kind": "binary", "columns": ["y"], "loss": "focal"}
    binary = TaskSet.from_experiment(
        experiment_from_dict({"name": "e", "data": {"train": "t"}, "tasks": [raw]}, "e")
    ).main
    logits, y = torch.tensor([[-0.7], [0.4]]), torch.tensor([[0.3], [1.0]])
    of_classes = classes.cell_losses(
        torch.cat([torch.zeros(2, 1), logits], dim=1), torch.cat([1 - y, y], dim=1)
    )
    torch.testing.assert_close(of_classes, binary.cell_losses(logits, y))


def test_gamma_is_refused_without_the_focal_loss():
    with pytest.raises(ValueError, match="focal_gamma is not read by loss = 'cross_entropy'"):
        make_task(focal_gamma=1.0)


# ---- shares


def test_smoothed_cross_entropy_of_shares_by_hand():
    labels, logits = torch.from_numpy(SHARES[:3]).float(), random_logits(3)
    task = make_shares_task(label_smoothing=0.1)
    smooth = labels * 0.9 + 0.1 / 3
    expected = -(smooth * logits.log_softmax(dim=1)).sum(dim=1, keepdim=True)
    torch.testing.assert_close(task.cell_losses(logits, labels), expected)


def test_hard_labels_and_shares_of_one_class_are_the_same():
    hard, shares = make_task(class_weight=[1, 2, 3]), make_shares_task(class_weight=[1, 2, 3])
    labels = torch.from_numpy(HARD[:5]).float()
    one_hot = torch.eye(3)[labels[:, 0].long()]
    logits = random_logits(5)
    torch.testing.assert_close(
        shares.cell_losses(logits, one_hot), hard.cell_losses(logits, labels)
    )
    np.testing.assert_array_equal(
        shares.stratification_flags(one_hot.numpy()), hard.stratification_flags(labels.numpy())
    )


def test_shares_are_stratified_summarized_and_scored_by_the_largest_one():
    task = make_shares_task()
    flags = task.stratification_flags(SHARES)
    np.testing.assert_array_equal(flags[:3], [[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    assert np.isnan(flags[3]).all()
    assert task.label_summary(SHARES) == {"a": "1", "b": "1", "c": "1"}
    predictions = np.array([[0.1, 0.1, 0.8], [0.2, 0.5, 0.3], [0.2, 0.5, 0.3], [1, 0, 0]])
    scores = task.compute_metrics(SHARES, predictions)
    assert scores["accuracy"] == 2 / 3
    cross_entropy = -(SHARES[:3] * np.log(predictions[:3])).sum() / 3
    assert scores["log_loss"] == pytest.approx(cross_entropy)
    columns = task.to_columns(predictions)
    assert list(columns) == ["t", "a", "b", "c"] and columns["t"].tolist() == ["c", "b", "b", "a"]
    assert task.summary_columns == ["t"]
    errors = task.errors(SHARES, predictions)
    np.testing.assert_allclose(errors[:2], [1 - (0.02 + 0.03 + 0.4), 0.8])
    assert np.isnan(errors[3])


def test_columns_and_classes_fit_together():
    assert make_shares_task(classes=["x", "y", "z"]).class_names == ["x", "y", "z"]
    with pytest.raises(ValueError, match="2 columns for 3 classes"):
        make_task(("a", "b"), classes=3)
    with pytest.raises(ValueError, match="normalize_votes needs a column of votes for each class"):
        make_task(normalize_votes=True)
    with pytest.raises(ValueError, match="'classes' is missing"):
        MulticlassSettings(name="t", kind="multiclass", columns=["y"])
