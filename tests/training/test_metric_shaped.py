"""The loss in the metric's shape equals the formula and its gradient, however a step is cut."""

from __future__ import annotations

import hypothesis
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import strategies as st

from auxfold.data.loading import read_training_table
from auxfold.data.table import Table
from auxfold.tasks import TaskSet
from auxfold.training.fold import train_fold
from auxfold.training.loop import StepTrainer
from auxfold.training.metric_shaped import power_mean_slopes, term_masks
from auxfold.training.objective import Objective, StepLoss
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


def make_objective(labels, identities, weights=None, **changes) -> Objective:
    labels, n = np.array(labels, dtype=np.float32)[:, None], len(labels)
    weights = np.ones(n) if weights is None else np.array(weights)
    ids = np.array([str(i) for i in range(n)], dtype=object)
    table = Table("t", ids, [["x"] * n], labels, weights.astype(np.float32), {}, None,
                  np.array(identities, dtype=np.float32).reshape(n, -1))  # fmt: skip
    task = {"name": "main", "kind": "binary", "columns": ["toxic"], "loss": "metric_shaped"}
    experiment = make_experiment(
        "t", "b", tasks=[{**task, **changes}], identities={"columns": NAMES}
    )
    return Objective(TaskSet.from_experiment(experiment), table)


def take_step(objective: Objective, logits, parts: list[list[int]]) -> tuple[float, np.ndarray]:
    """The loss and gradient of a step whose rows come in micro-batches, as the loop makes it."""
    leaf = torch.tensor(np.array(logits)[:, None], dtype=torch.float32, requires_grad=True)
    step_loss, total, means = objective.for_step(np.arange(len(leaf))), 0.0, 0.0
    for part in map(np.array, parts):
        means = means + step_loss.term_means({"main": leaf[part]}, part)["main"]
    step_loss.set_means({"main": means})
    for part in map(np.array, parts):
        loss = step_loss({"main": leaf[part]}, part)["main"]
        loss.backward()
        total += float(loss.detach())
    return total, leaf.grad.numpy()[:, 0]


@torch.enable_grad()
def naive(labels, identities, logits, weights=None, power=5.0, normalize=False):
    """The formula itself, mask by mask, differentiated by torch in float64."""
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


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(data=st.data())
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
    objective = make_objective(
        labels, identities, weights, power=power, divide_by_weight_sum=normalize
    )
    loss, gradient = take_step(objective, logits, parts)
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
    objective = make_objective(labels, [[1, 0.5], [0.49, 1], [0, NAN]])
    assert take_step(objective, logits, [[0, 1, 2]])[0] == pytest.approx(
        (overall + subgroup + bpsn + bnsp) / 4, abs=1e-6
    )


@pytest.mark.parametrize("identities", [np.full((4, 3), NAN), np.zeros((4, 3))])
def test_a_step_without_an_identity_has_a_finite_gradient(identities):
    """No subgroup: nothing of it. The background's positives and negatives are all there are."""
    labels, logits = [1.0, 0.0, 0.0, NAN], np.array([0.5, -1.0, 2.0, 9.0])
    loss, gradient = take_step(make_objective(labels, identities), logits, [[0, 1], [2, 3]])
    a, b, c = (bce(logits[i], labels[i]) for i in range(3))
    assert loss == pytest.approx(((a + b + c) / 3 + a + (b + c) / 2) / 4, abs=1e-6)
    p = 1 / (1 + np.exp(-logits))
    expected = [(p[0] - 1) * (1 / 3 + 1), p[1] * (1 / 3 + 1 / 2), p[2] * (1 / 3 + 1 / 2), 0]
    np.testing.assert_allclose(gradient, np.array(expected) / 4, atol=1e-6)


def test_a_step_without_a_label_is_exactly_nothing():
    objective = make_objective([NAN, NAN], [[1, 0, 0], [0, 0, 0]])
    step_loss = objective.for_step(np.arange(2))
    assert not step_loss.present["main"], "the task is absent in this step"
    assert not step_loss.term_weights["main"].any()
    loss, gradient = take_step(objective, [0.3, -2.0], [[0], [1]])
    assert loss == 0.0 and (gradient == 0.0).all()


def test_a_step_that_is_learned_by_heart_has_a_finite_gradient():
    objective = make_objective([1.0, 0.0, 1.0], [[1, 0, 0], [1, 1, 0], [0, 0, 1]])
    loss, gradient = take_step(objective, [200.0, -200.0, 200.0], [[0, 1, 2]])
    assert loss == 0.0 and np.isfinite(gradient).all()


def test_slopes_are_those_of_the_power_mean():
    values = torch.tensor([0.2, NAN, 1.0, 3.0], dtype=torch.float64)
    leaf = values[[0, 2, 3]].requires_grad_()
    (torch.mean(leaf**5) ** 0.2).backward()
    slopes = power_mean_slopes(values, 5.0)
    np.testing.assert_allclose(slopes[[0, 2, 3]], leaf.grad, rtol=1e-9)
    assert slopes[1] == 0.0
    np.testing.assert_allclose(power_mean_slopes(values * 1e-200, 5.0), slopes, rtol=1e-9)
    np.testing.assert_allclose(power_mean_slopes(torch.zeros(2), 5.0), [0.5, 0.5])
    assert (power_mean_slopes(torch.tensor([NAN, NAN]), 5.0) == 0.0).all()
    assert len(power_mean_slopes(torch.zeros(0), 5.0)) == 0


def test_the_masks_are_those_of_the_metric():
    """A label and an identity count from 0.5 on; not annotated is background."""
    labels = torch.tensor([0.5, 0.49, 0.5, 0.49, NAN])
    identities = torch.tensor([[0.5], [0.5], [NAN], [0.49], [1.0]])
    masks = term_masks(labels, identities).int()
    assert masks.T.tolist() == [[1, 1, 1, 1, 0], [1, 1, 0, 0, 0], [0, 1, 1, 0, 0], [1, 0, 0, 1, 0]]


def test_doubling_a_weight_doubles_its_gradient():
    labels, identities = [1.0, 0.0, 0.0], [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    logits = [0.5, -1.0, 2.0]
    plain = take_step(make_objective(labels, identities), logits, [[0, 1, 2]])[1]
    for changes in ({"weight": 2.0}, {"label_weights": [2.0]}):
        double = take_step(make_objective(labels, identities, **changes), logits, [[0, 1, 2]])[1]
        np.testing.assert_allclose(double, 2 * plain, rtol=1e-5)
    double = take_step(make_objective(labels, identities, [2, 2, 2]), logits, [[0, 1, 2]])[1]
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

    def make(model=STILL, train=None, **changes):
        tasks = [
            {"name": "main", "kind": "binary", "columns": ["toxic"], "main": True,
             "loss": "metric_shaped"},
            {"name": "aux", "kind": "binary", "columns": ["insult", "threat"], "weight": 0.5},
        ]  # fmt: skip
        settings = {"batch_size": 29, "learning_rate": 1e-2, "precision": "fp32", **(train or {})}
        experiment = make_experiment(
            "train.csv", backbone, model={"backbone": backbone, "max_length": 24, **model},
            train=settings, tasks=tasks, identities={"columns": ["male", "female"]}, **changes,
        )  # fmt: skip
        create_folds(experiment)
        return experiment

    return make


@pytest.mark.parametrize("method", ["fixed", "main_first", "famo"])
def test_micro_batches_train_the_model_of_the_big_batch(experiment, method):
    task_weighting = {"method": method}
    folder = train_fold(experiment(task_weighting=task_weighting), 0)
    whole, history = load_tensors(folder.path), load_history(folder)
    small = experiment(task_weighting=task_weighting, train={"max_tokens_per_batch": 60})
    assert_same_training(train_fold(small, 0, overwrite=True), whole, history)


def test_the_loss_on_record_is_the_formula_over_the_step(experiment, monkeypatch):
    """Also when famo computes the step's losses again, whose means are those after the step."""
    shaped = experiment(train={"batch_size": 60, "max_tokens_per_batch": 100, "epochs": 1},
                        task_weighting={"method": "famo"})  # fmt: skip
    pairs, identities = [], read_training_table(shaped).identities

    def compare(self, indices, losses) -> None:
        logits = torch.cat([self.model(**self.batch(i[None]))["main"] for i in indices]).detach()
        cells = self.objective.cells["main"]
        labels = torch.where(cells.terms[:, :1], cells.labels, NAN)[indices, 0]
        expected = naive(labels, identities[indices], logits[:, 0].double().numpy())[0]
        assert len(self.splitter.split(indices)) > 1
        pairs.append((float(losses["main"]), expected))

    before, after = StepTrainer.train_step, StepTrainer.losses_without_gradient

    def train_step(self, indices):
        state = {name: values.clone() for name, values in self.model.state_dict().items()}
        result = before(self, indices)
        losses = result.losses
        trained = {name: values.clone() for name, values in self.model.state_dict().items()}
        self.model.load_state_dict(state)
        compare(self, indices, losses)
        self.model.load_state_dict(trained)
        return result

    def losses_without_gradient(self, indices):
        losses = after(self, indices)
        compare(self, indices, losses)
        return losses

    monkeypatch.setattr(StepTrainer, "train_step", train_step)
    monkeypatch.setattr(StepTrainer, "losses_without_gradient", losses_without_gradient)
    train_fold(shaped, 0)
    assert len(pairs) == 2 and pairs[0][0] != pairs[1][0], "before and after the step"
    np.testing.assert_allclose(*np.array(pairs).T, rtol=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_means_are_of_the_dropout_masks_of_the_step(experiment, monkeypatch, precision):
    """And computing them takes no random number from what comes after."""
    logits: dict[str, list[torch.Tensor]] = {"term_means": [], "__call__": []}
    for name, record in logits.items():
        original = getattr(StepLoss, name)

        def watch(self, values, *arguments, record=record, original=original):
            record.append(values["main"].detach().clone())
            return original(self, values, *arguments)

        monkeypatch.setattr(StepLoss, name, watch)
    dropout = dict.fromkeys(STILL, 0.3)
    train = {"max_tokens_per_batch": 100, "epochs": 1, "precision": precision}
    train_fold(experiment(model=dropout, train=train), 0)
    assert len(logits["__call__"]) == len(logits["term_means"]) > 4
    for first, second in zip(*logits.values(), strict=True):
        assert torch.equal(first, second)
    again = [values.clone() for values in logits["__call__"]]
    for record in logits.values():
        record.clear()
    monkeypatch.setattr(
        StepTrainer, "precompute_term_means",
        lambda self, step_loss, parts: {"main": torch.ones(len(step_loss.term_weights["main"]))},
    )  # fmt: skip
    train_fold(experiment(model=dropout, train=train), 0, overwrite=True)
    assert torch.equal(logits["__call__"][0], again[0])
    assert torch.equal(logits["__call__"][1], again[1])


def test_two_processes_train_the_model_of_one(experiment, work_dir):
    """The last step has one row: the other process has none, and takes part all the same."""
    shaped = experiment(train={"max_tokens_per_batch": 100})
    folder = train_fold(shaped, 0)
    whole, history = load_tensors(folder.path), load_history(folder)
    train_in_two_processes(shaped)
    assert_same_training(folder, whole, history)
