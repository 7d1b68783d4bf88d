"""The loss in the metric's shape equals the formula and its gradient, however a step is cut."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from auxfold.data.table import Table
from auxfold.tasks import make_tasks
from auxfold.training.fold import train_fold
from auxfold.training.loop import Loop
from auxfold.training.metric_shaped import MetricShape, power_mean_slopes
from auxfold.training.objective import Objective
from auxfold.training.split import create_folds
from conftest import (
    assert_same_training,
    load_history,
    load_tensors,
    make_experiment,
    make_frame,
    train_in_two_processes,
)

NAN = float("nan")
NAMES = ["male", "female", "black"]


def objective(labels, identities, weights=None, **changes) -> Objective:
    labels, n = np.array(labels, dtype=np.float32)[:, None], len(labels)
    weights = np.ones(n) if weights is None else np.array(weights)
    ids = np.array([str(i) for i in range(n)], dtype=object)
    table = Table("t", ids, [["x"] * n], labels, weights.astype(np.float32), {}, None,
                  np.array(identities, dtype=np.float32).reshape(n, -1))  # fmt: skip
    task = {"name": "main", "kind": "binary", "columns": ["toxic"], "loss": "metric_shaped"}
    experiment = make_experiment(
        "t", "b", tasks=[{**task, **changes}], identities={"columns": NAMES}
    )
    return Objective(make_tasks(experiment), table)


def stepped(made: Objective, logits, parts: list[list[int]]) -> tuple[float, np.ndarray]:
    """Loss and gradient of a step given in micro-batches of rows, as the loop makes it."""
    leaf = torch.tensor(np.array(logits)[:, None], dtype=torch.float32, requires_grad=True)
    scales, total, means = made.scales(np.arange(len(leaf))), 0.0, 0.0
    for part in map(np.array, parts):
        means = means + made.means({"main": leaf[part]}, part, scales)["main"]
    scales = made.shaped(scales, {"main": means})
    for part in map(np.array, parts):
        loss, told = made.loss({"main": leaf[part]}, part, scales)
        assert float(told["main"]) == float(loss.detach())
        loss.backward()
        total += float(loss.detach())
    return total, leaf.grad.numpy()[:, 0]


@torch.enable_grad()
def naive(labels, identities, logits, weights=None, power=5.0, normalize=False):
    """The formula as it stands, mask by mask, differentiated by torch in float64."""
    z = torch.tensor(np.array(logits, dtype=float), requires_grad=True)
    y = np.array(labels, dtype=np.float32).astype(float)
    w = np.ones(len(y)) if weights is None else np.array(weights)
    known, positive = ~np.isnan(y), y >= 0.5
    member = np.array(identities, dtype=float).reshape(len(y), -1) >= 0.5
    cells = torch.nn.functional.binary_cross_entropy_with_logits(
        z, torch.tensor(np.nan_to_num(y)), reduction="none"
    )

    def mean(mask):
        weighed = torch.tensor(w * mask)
        return (cells * weighed).sum() / (weighed.sum() if normalize else mask.sum())

    loss = mean(known) / 4 if known.any() else 0.0 * cells.sum()
    for family in range(3):
        means = []
        for m in member.T:
            masks = (m, (m & ~positive) | (~m & positive), (m & positive) | (~m & ~positive))
            if (known & masks[family]).any():
                means.append(mean(known & masks[family]))
        if means:
            loss = loss + (sum(v**power for v in means) / len(means)) ** (1 / power) / 4
    loss.backward()
    return float(loss.detach()), z.grad.numpy()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_cut_of_a_step_gives_the_formula_and_its_gradient(data):
    n = data.draw(st.integers(2, 12))
    random = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    labels, identities = random.random(n), random.random((n, 3))
    labels[random.random(n) < 0.2] = NAN
    identities[random.random((n, 3)) < data.draw(st.sampled_from([0.0, 0.5, 0.9]))] = NAN
    weights, logits = random.random(n) + 0.1, random.normal(size=n) * 3
    power = data.draw(st.sampled_from([1.0, 2.0, 5.0]))
    normalize = data.draw(st.booleans())
    cuts = sorted(data.draw(st.sets(st.integers(1, n - 1))))
    parts = [list(part) for part in np.split(random.permutation(n), cuts)]
    made = objective(labels, identities, weights, power=power, divide_by_weight_sum=normalize)
    loss, gradient = stepped(made, logits, parts)
    expected, slope = naive(labels, identities, logits, weights, power, normalize)
    assert loss == pytest.approx(expected, abs=1e-5)
    np.testing.assert_allclose(gradient, slope, atol=1e-5)


def bce(logit: float, label: float) -> float:
    return float(np.log1p(np.exp(-logit)) * label + np.log1p(np.exp(logit)) * (1 - label))


def test_the_formula_by_hand():
    """Row 0 names both identities, row 1 the second, row 2 none; rows 0 and 2 are positive."""
    labels, logits = [1.0, 0.0, 0.7], [0.5, -1.0, 2.0]
    a, b, c = (bce(z, y) for z, y in zip(logits, labels, strict=True))
    overall = (a + b + c) / 3
    subgroup = ((a**5 + ((a + b) / 2) ** 5) / 2) ** 0.2
    bpsn = ((c**5 + ((b + c) / 2) ** 5) / 2) ** 0.2  # background positives, subgroup negatives
    bnsp = ((((a + b) / 2) ** 5 + a**5) / 2) ** 0.2  # background negatives, subgroup positives
    made = objective(labels, [[1, 0.5], [0.49, 1], [0, NAN]])
    assert stepped(made, logits, [[0, 1, 2]])[0] == pytest.approx(
        (overall + subgroup + bpsn + bnsp) / 4, abs=1e-6
    )


@pytest.mark.parametrize("identities", [np.full((4, 3), NAN), np.zeros((4, 3))])
def test_a_step_without_an_identity_has_a_finite_gradient(identities):
    """No subgroup: nothing of it. The background's positives and negatives are all there are."""
    labels, logits = [1.0, 0.0, 0.0, NAN], np.array([0.5, -1.0, 2.0, 9.0])
    loss, gradient = stepped(objective(labels, identities), logits, [[0, 1], [2, 3]])
    a, b, c = (bce(logits[i], labels[i]) for i in range(3))
    assert loss == pytest.approx(((a + b + c) / 3 + a + (b + c) / 2) / 4, abs=1e-6)
    p = 1 / (1 + np.exp(-logits))
    expected = [(p[0] - 1) * (1 / 3 + 1), p[1] * (1 / 3 + 1 / 2), p[2] * (1 / 3 + 1 / 2), 0]
    np.testing.assert_allclose(gradient, np.array(expected) / 4, atol=1e-6)


def test_a_step_without_a_label_is_exactly_nothing():
    made = objective([NAN, NAN], [[1, 0, 0], [0, 0, 0]])
    assert not made.scales(np.arange(2))["main"].any(), "the task is absent in this step"
    loss, gradient = stepped(made, [0.3, -2.0], [[0], [1]])
    assert loss == 0.0 and (gradient == 0.0).all()


def test_a_step_that_is_learnt_by_heart_has_a_finite_gradient():
    made = objective([1.0, 0.0, 1.0], [[1, 0, 0], [1, 1, 0], [0, 0, 1]])
    loss, gradient = stepped(made, [200.0, -200.0, 200.0], [[0, 1, 2]])
    assert loss == 0.0 and np.isfinite(gradient).all()


def test_slopes_are_those_of_the_power_mean():
    values = np.array([0.2, NAN, 1.0, 3.0])
    leaf = torch.tensor(values[[0, 2, 3]], requires_grad=True)
    (torch.mean(leaf**5) ** 0.2).backward()
    made = power_mean_slopes(values, 5.0)
    np.testing.assert_allclose(made[[0, 2, 3]], leaf.grad, rtol=1e-9)
    assert made[1] == 0.0
    np.testing.assert_allclose(power_mean_slopes(values * 1e-200, 5.0), made, rtol=1e-9)
    np.testing.assert_allclose(power_mean_slopes(np.zeros(2), 5.0), [0.5, 0.5])
    assert (power_mean_slopes(np.array([NAN, NAN]), 5.0) == 0.0).all()


def test_the_masks_are_those_of_the_metric():
    """A label and an identity count from 0.5 on; not annotated is background."""
    labels = np.array([0.5, 0.49, 0.5, 0.49, NAN])
    shape = MetricShape(labels, np.array([[0.5], [0.5], [NAN], [0.49], [1.0]]), 5.0)
    made = shape.masks(np.arange(5)).astype(int)
    assert made.T.tolist() == [[1, 1, 1, 1, 0], [1, 1, 0, 0, 0], [0, 1, 1, 0, 0], [1, 0, 0, 1, 0]]


def test_doubling_a_weight_doubles_its_gradient():
    labels, identities = [1.0, 0.0, 0.0], [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    logits = [0.5, -1.0, 2.0]
    plain = stepped(objective(labels, identities), logits, [[0, 1, 2]])[1]
    for changes in ({"weight": 2.0}, {"label_weights": [2.0]}):
        double = stepped(objective(labels, identities, **changes), logits, [[0, 1, 2]])[1]
        np.testing.assert_allclose(double, 2 * plain, rtol=1e-5)
    double = stepped(objective(labels, identities, [2, 2, 2]), logits, [[0, 1, 2]])[1]
    np.testing.assert_allclose(double, 2 * plain, rtol=1e-5)


# ---- in training

STILL = {"head_dropout": 0.0, "hidden_dropout": 0.0, "attention_dropout": 0.0}


@pytest.fixture
def experiment(work_dir, backbone):
    """60 rows with two identities, mostly not annotated; a function of sections."""
    random = np.random.default_rng(1)
    flags = np.where(random.random((60, 2)) < 0.5, random.random((60, 2)), NAN)
    frame = pd.concat([make_frame(), pd.DataFrame(flags, columns=["male", "female"])], axis=1)
    frame.to_csv("train.csv", index=False)

    def made(model=STILL, train=None, **changes):
        tasks = [
            {"name": "main", "kind": "binary", "columns": ["toxic"], "main": True,
             "loss": "metric_shaped"},
            {"name": "aux", "kind": "binary", "columns": ["insult", "threat"], "weight": 0.5},
        ]  # fmt: skip
        settings = {"batch_size": 29, "learning_rate": 1e-2, "precision": "fp32", **(train or {})}
        made = make_experiment(
            "train.csv", backbone, model={"backbone": backbone, "max_length": 24, **model},
            train=settings, tasks=tasks, identities={"columns": ["male", "female"]}, **changes,
        )  # fmt: skip
        create_folds(made)
        return made

    return made


@pytest.mark.parametrize("method", ["fixed", "main_first", "famo"])
def test_micro_batches_train_the_model_of_the_big_batch(experiment, method):
    task_weighting = {"method": method}
    folder = train_fold(experiment(task_weighting=task_weighting), 0)
    whole, history = load_tensors(folder.path), load_history(folder)
    small = experiment(task_weighting=task_weighting, train={"max_tokens_per_batch": 60})
    assert_same_training(train_fold(small, 0, overwrite=True), whole, history)


def test_the_loss_on_record_is_the_formula_over_the_step(experiment, monkeypatch):
    """Also of famo's second look at the step's rows, whose means are those after the step."""
    made = experiment(train={"batch_size": 60, "max_tokens_per_batch": 100, "epochs": 1},
                      task_weighting={"method": "famo"})  # fmt: skip
    seen, original = [], Loop.losses_of

    def losses_of(self, rows, scales, learn):
        logits = torch.cat([self.model(**self.batch(row[None]))["main"] for row in rows]).detach()
        table = self.objective
        expected = naive(table._labels["main"][rows, 0], table._shapes["main"].identities[rows],
                         logits[:, 0].double().numpy())[0]  # fmt: skip
        losses = original(self, rows, scales, learn)
        assert len(self.micro_batches(rows)) > 1
        seen.append((float(losses["main"]), expected))
        return losses

    monkeypatch.setattr(Loop, "losses_of", losses_of)
    train_fold(made, 0)
    assert len(seen) == 2 and seen[0][0] != seen[1][0], "before and after the step"
    np.testing.assert_allclose(*np.array(seen).T, rtol=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_first_look_sees_the_dropout_masks_of_the_step(experiment, monkeypatch, precision):
    """And takes no random number from what comes after."""
    logits: dict[str, list[torch.Tensor]] = {"means": [], "loss": []}
    for name, told in logits.items():
        original = getattr(Objective, name)

        def watched(self, given, *arguments, told=told, original=original):
            told.append(given["main"].detach().clone())
            return original(self, given, *arguments)

        monkeypatch.setattr(Objective, name, watched)
    dropout = dict.fromkeys(STILL, 0.3)
    train = {"max_tokens_per_batch": 100, "epochs": 1, "precision": precision}
    train_fold(experiment(model=dropout, train=train), 0)
    assert len(logits["loss"]) == len(logits["means"]) > 4
    for first, second in zip(*logits.values(), strict=True):
        assert torch.equal(first, second)
    again = [values.clone() for values in logits["loss"]]
    for told in logits.values():
        told.clear()
    monkeypatch.setattr(Loop, "first_look", lambda self, parts, scales: {
        "main": torch.ones(len(scales["main"]))})  # fmt: skip
    train_fold(experiment(model=dropout, train=train), 0, overwrite=True)
    assert torch.equal(logits["loss"][0], again[0]) and torch.equal(logits["loss"][1], again[1])


def test_two_processes_train_the_model_of_one(experiment, work_dir):
    """The last step has one row: the other process has none, and takes part all the same."""
    made = experiment(train={"max_tokens_per_batch": 100})
    folder = train_fold(made, 0)
    whole, history = load_tensors(folder.path), load_history(folder)
    train_in_two_processes(made)
    assert_same_training(folder, whole, history)
