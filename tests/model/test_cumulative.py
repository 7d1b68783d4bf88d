"""The head of ordered classes is the proportional odds model with cut points in order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from auxfold.model.cumulative import CumulativeHead

THRESHOLDS = torch.tensor([-1.0, 0.5, 2.0])


def make_head(width: int = 4) -> CumulativeHead:
    torch.manual_seed(0)
    head = CumulativeHead(width, 4)
    with torch.no_grad():
        head.weight.normal_()
    head.set_cut_points(THRESHOLDS)
    return head


def naive_probabilities(head: CumulativeHead, features: torch.Tensor) -> torch.Tensor:
    """Differences of sigmoids, row by row and class by class, in float64."""
    rows = []
    for row in features.double():
        score = (row * head.weight[0].double()).sum()
        first, *gaps = head.cut_points.double()
        at_most, cut_point = [torch.zeros((), dtype=torch.float64)], first
        for gap in [None, *gaps]:
            cut_point = cut_point if gap is None else cut_point + gap.exp()
            at_most.append(torch.sigmoid(cut_point - score))
        at_most.append(torch.ones((), dtype=torch.float64))
        rows.append(torch.stack(at_most).diff())
    return torch.stack(rows)


def test_probabilities_and_gradients_are_those_of_a_plain_loop():
    features, truth = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 1, 2])
    ours, naive = make_head(), make_head()
    logs = ours(features)
    torch.testing.assert_close(logs.exp().sum(dim=1), torch.ones(6))
    expected = naive_probabilities(naive, features)
    torch.testing.assert_close(logs.exp(), expected.float())
    torch.nn.functional.cross_entropy(logs, truth).backward()
    (-expected[torch.arange(6), truth].log().mean()).backward()
    torch.testing.assert_close(ours.weight.grad, naive.weight.grad)
    torch.testing.assert_close(ours.cut_points.grad, naive.cut_points.grad)


def test_cut_points_are_set_and_stay_in_order():
    head = make_head()
    zero = head(torch.zeros(1, 4)).exp().detach()
    at_most = torch.cat([torch.zeros(1), THRESHOLDS.sigmoid(), torch.ones(1)])
    torch.testing.assert_close(zero[0], at_most.diff())
    optimizer = torch.optim.SGD(head.parameters(), lr=5.0)
    for _ in range(20):  # only the outer classes: the gaps shrink, and never turn
        loss = -head(torch.randn(8, 4))[:, [0, 3]].logsumexp(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    probabilities = head(torch.randn(8, 4)).exp()
    assert (probabilities >= 0).all() and probabilities.isfinite().all()


@pytest.mark.parametrize("scale", [1e3, -1e3])
def test_extreme_scores_have_finite_logarithms_and_gradients(scale):
    head = make_head()
    logs = head(scale * torch.ones(1, 4))
    assert logs.isfinite().all()
    logs.sum().backward()
    assert head.weight.grad.isfinite().all() and head.cut_points.grad.isfinite().all()


def test_two_classes_are_a_logistic_regression():
    head = CumulativeHead(3, 2)
    features = torch.randn(5, 3)
    score = features @ head.weight[0]
    np.testing.assert_allclose(
        head(features).exp()[:, 1].detach(), torch.sigmoid(score).detach(), rtol=1e-6
    )
