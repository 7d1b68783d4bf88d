"""Every method against its formula, by hand, and against torchjd where it is used."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from auxfold.config import TaskWeightingSettings
from auxfold.errors import InputError
from auxfold.training.weighting.gram import Gram, RunningGram
from auxfold.training.weighting.method import StepLosses, WeightingMethod
from auxfold.training.weighting.methods import METHODS

NAN = float("nan")


def doubles(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def step_losses(*losses: float, present: list[bool] | None = None) -> StepLosses:
    present = [True] * len(losses) if present is None else present
    return StepLosses(doubles(*losses), torch.tensor(present))


def make_method(name: str, weights: tuple[float, ...] = (1.0, 1.0), **keys) -> WeightingMethod:
    """A method with the first task as the main one."""
    settings = TaskWeightingSettings(method=name, **keys)
    gram = RunningGram(len(weights), settings.ema_decay)
    return METHODS[name](settings, doubles(*weights), 0, gram)


def feed(method: WeightingMethod, gradients: list, present: list[bool] | None = None) -> None:
    """One step whose gradients at the features are ``(tasks, rows, hidden)``."""
    present = [True] * len(gradients) if present is None else present
    gram = Gram.from_gradients(torch.tensor(gradients, dtype=torch.float64))
    method.gram.add(gram, torch.tensor(present))


def test_uncertainty_is_the_closed_form_of_its_loss():
    method = make_method("uncertainty", weights=(1.0, 0.25))
    s = torch.tensor([0.3, -2.0])
    with torch.no_grad():
        method.log_variances.copy_(s)
    losses = doubles(0.7, 0.1)
    leaf = s.double().requires_grad_()
    total = (doubles(1.0, 0.25) * (torch.exp(-leaf) * losses + leaf / 2)).sum()
    total.backward()
    method.update(StepLosses(losses, torch.tensor([True, True])))
    torch.testing.assert_close(method.log_variances.grad, leaf.grad.float())
    torch.testing.assert_close(method.factors(), torch.exp(-s).double())
    assert method.minimized_loss(losses) == pytest.approx(float(total.detach()))
    assert method.minimized_loss(doubles(0.7, 0.0)) < method.minimized_loss(losses)
    method.update(step_losses(0.7, 0.0, present=[True, False]))
    assert method.log_variances.grad[1] == 0.0, "an absent task contributes nothing, s/2 included"


def test_dwa_compares_the_last_two_epochs():
    method = make_method("dwa", temperature=2.0)
    for losses in ([(0.8, 1.0), (0.4, 1.0)], [(0.3, 1.0), (0.3, 0.5)]):
        assert method.factors().tolist() == [1.0, 1.0]
        for pair in losses:
            method.update(step_losses(*pair))
        method.update(step_losses(99.0, 99.0, present=[False, False]))
        method.finish_epoch()
    ratios = np.array([0.3 / 0.6, 0.75 / 1.0])
    expected = 2 * np.exp(ratios / 2) / np.exp(ratios / 2).sum()
    np.testing.assert_allclose(method.factors(), expected)


def test_gradnorm_goes_down_its_subgradient():
    method = make_method(
        "gradnorm", weights=(1.0, 0.5), ema_decay=0.0, alpha=1.0, learning_rate=0.1
    )
    feed(method, [[[3.0, 4.0]], [[1.0, 0.0]]])  # norms 5 and 1/0.5 = 2 without task.weight
    method.update(step_losses(1.0, 1.0))
    # Both have learned nothing: the target is the mean, 3.5. The first is above, the second below.
    moved = np.array([1 - 0.1 * 5 / 3.5, 1 + 0.1 * 2 / 3.5])
    np.testing.assert_allclose(method.factors(), 2 * moved / moved.sum())
    before = method.factors().numpy()
    method.update(
        step_losses(0.05, 1.0)
    )  # the first has learned nearly everything, the second nothing
    weighted = before * [5, 2]
    rates = np.array([0.05, 1.0]) / 0.525
    slope = np.sign(weighted - weighted.mean() * rates) * [5, 2] / weighted.mean()
    moved = before - 0.1 * slope
    np.testing.assert_allclose(method.factors(), 2 * moved / moved.sum())


@pytest.mark.parametrize(("alpha", "first_goes_up"), [(0.0, False), (1.0, True)])
def test_gradnorms_alpha_helps_the_slow_task(alpha, first_goes_up):
    method = make_method("gradnorm", ema_decay=0.0, alpha=alpha, learning_rate=1e-6)
    feed(method, [[[5.0]], [[4.0]]])
    method.update(step_losses(1.0, 1.0))
    before = method.factors()
    method.update(
        step_losses(0.9, 0.3)
    )  # the first's norm is above the mean, but it has learned less
    assert (method.factors()[0] > before[0]) == first_goes_up


def test_gradnorm_stays_positive_and_keeps_its_sum():
    method = make_method("gradnorm", ema_decay=0.0, learning_rate=5.0)
    for _ in range(5):
        feed(method, [[[100.0]], [[1.0]]])
        method.update(step_losses(1.0, 1.0))
        assert (method.factors() > 0).all() and float(method.factors().sum()) == pytest.approx(2.0)


def test_famo_helps_the_loss_that_fell_less():
    method = make_method("famo", ema_decay=0.0, learning_rate=0.025)
    assert method.factors().tolist() == [1.0, 1.0]
    method.update(step_losses(0.5, 0.2))
    np.testing.assert_allclose(method.factors(), [2 * 2 / 7, 2 * 5 / 7], rtol=1e-6)
    method.after_step(step_losses(0.5, 0.2), step_losses(0.4, 0.19))
    # Adam's first step is the rate, against the gradient's sign.
    np.testing.assert_allclose(method.logits.detach(), [-0.025, 0.025], rtol=1e-4)
    shares = np.exp([-0.025, 0.025]) / np.array([0.5, 0.2])
    np.testing.assert_allclose(method.factors(), 2 * shares / shares.sum(), rtol=1e-5)


def test_famo_moves_its_logits_as_torchjd_does():
    scalarization = pytest.importorskip("torchjd.scalarization")
    method, other = (
        make_method("famo", ema_decay=0.0),
        scalarization.FAMO(2, lr=0.025, weight_decay=1e-3),
    )
    for before, after in (((0.5, 0.2), (0.4, 0.19)), ((0.4, 0.3), (0.41, 0.1))):
        method.after_step(step_losses(*before), step_losses(*after))
        other(torch.tensor(before))
        other.update(torch.tensor(after))
    torch.testing.assert_close(method.logits.detach().float(), other._w.detach())


def test_main_first_is_the_positive_cosine_of_the_rows_that_both_label():
    method = make_method("main_first", weights=(1.0, 1.0, 1.0, 1.0), ema_decay=0.0)
    assert method.factors().tolist() == [1.0] * 4, "before the first step"
    feed(method, [
        [[1.0, 0.0], [2.0, 0.0], [0.0, 0.0]],  # main, not labeled in the last row
        [[1.0, 1.0], [0.0, 0.0], [9.0, 9.0]],  # agrees by 45 degrees in the one row they share
        [[0.0, 5.0], [-1.0, 0.0], [0.0, 0.0]],  # against it
        [[0.0, 0.0], [0.0, 0.0], [3.0, 0.0]],  # shares no row with it
    ])  # fmt: skip
    np.testing.assert_allclose(method.factors(), [1.0, 0.5**0.5, 0.0, 1.0])


def test_the_running_mean_remembers_and_leaves_absent_tasks_alone():
    method = make_method("main_first", ema_decay=0.5)
    feed(method, [[[1.0, 0.0]], [[1.0, 0.0]]])
    feed(method, [[[2.0, 0.0]], [[0.0, 2.0]]])
    mean = method.gram.mean()
    # (0.5 · first + second) / 1.5
    np.testing.assert_allclose(mean.products, [[4.5 / 1.5, 0.5 / 1.5], [0.5 / 1.5, 4.5 / 1.5]])
    feed(method, [[[7.0, 0.0]], [[0.0, 0.0]]], present=[True, False])
    after = method.gram.mean()
    assert after.products[0, 0] > mean.products[0, 0]
    assert torch.equal(after.products[1], mean.products[1])
    assert torch.equal(after.products[:, 1], mean.products[:, 1])


CONFLICT = [[[2.0, 0.0]], [[-1.0, 1.0]]]


@pytest.mark.parametrize("name", ["pcgrad", "upgrad"])
def test_surgery_of_two_projects_each_off_the_other(name):
    pytest.importorskip("torchjd")
    method = make_method(name, ema_decay=0.0)
    feed(method, CONFLICT)
    method.update(step_losses(1.0, 1.0))
    # Products 4, 2 and -2: each takes -(-2) / |other|² of the other.
    np.testing.assert_allclose(method.factors(), [1 + 2 / 4, 1 + 2 / 2], rtol=2e-3)
    feed(method, (1e-5 * np.array(CONFLICT)).tolist())  # as small as they really are
    method.update(step_losses(1.0, 1.0))
    np.testing.assert_allclose(method.factors(), [1 + 2 / 4, 1 + 2 / 2], rtol=2e-3)
    feed(method, [[[1.0, 0.0]], [[0.1, 1.0]]])  # in agreement
    method.update(step_losses(1.0, 1.0))
    np.testing.assert_allclose(method.factors(), [1.0, 1.0], rtol=1e-6)


def test_cagrad_solves_its_problem():
    pytest.importorskip("torchjd")
    method = make_method("cagrad", ema_decay=0.0, c=0.4)
    feed(method, CONFLICT)
    method.update(step_losses(1.0, 1.0))
    gradients = np.array([g[0] for g in CONFLICT])
    mean = gradients.mean(axis=0)
    radius = 0.4 * np.linalg.norm(mean)
    shares = np.linspace(0, 1, 20_001)
    mixed = np.outer(shares, gradients[0]) + np.outer(1 - shares, gradients[1])
    best = np.argmin(mixed @ mean + radius * np.linalg.norm(mixed, axis=1))
    direction = mean + radius * mixed[best] / np.linalg.norm(mixed[best])
    np.testing.assert_allclose(method.factors() @ gradients, 2 * direction, rtol=1e-2)


def test_surgery_takes_no_random_number_and_repeats_itself():
    pytest.importorskip("torchjd")
    gradients = [[[1.0, 0.0]], [[-0.5, 0.9]], [[-0.5, -0.8]]]
    factors = []
    for _ in range(2):
        method = make_method("pcgrad", weights=(1.0, 1.0, 1.0))
        state = torch.get_rng_state()
        for _ in range(3):
            feed(method, gradients)
            method.update(step_losses(1.0, 1.0, 1.0))
        assert torch.equal(torch.get_rng_state(), state)
        factors.append(method.factors())
        torch.rand(5)
    assert torch.equal(*factors)


def test_a_missing_library_is_said_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchjd", None)
    with pytest.raises(
        InputError, match=r"'upgrad' needs torchjd: pip install \"torchjd\[quadprog"
    ):
        make_method("upgrad")


def test_the_configuration_names_the_methods_that_there_are():
    names = TaskWeightingSettings.model_fields["method"].annotation.__args__
    assert set(names) == set(METHODS)
