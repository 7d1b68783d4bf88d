"""Dropout on a CPU: the same distribution as torch's, from masks that are drawn faster."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from auxfold.model.dropout import LEVELS, BitDropout


def drop(x: torch.Tensor, p: float, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    with BitDropout():
        return F.dropout(x, p, True)


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_cells_are_zero_or_divided_by_the_probability_to_stay(p: float, dtype: torch.dtype) -> None:
    dropped = drop(torch.ones(400, 500, dtype=dtype), p)
    stay = 1 - round(p * LEVELS) / LEVELS
    scale = torch.tensor(1 / stay, dtype=torch.float32).to(dtype)
    assert set(dropped.unique().tolist()) == {0.0, scale.item()}
    # The share has a standard deviation of at most 0.0011.
    assert (dropped == 0).float().mean().item() == pytest.approx(p, abs=0.005)


def test_cells_are_independent_of_their_neighbors() -> None:
    zeros = (drop(torch.ones(200_000), 0.5) == 0).float()
    for distance in range(1, 9):
        both = (zeros[distance:] * zeros[:-distance]).mean().item()
        assert both == pytest.approx(0.25, abs=0.006)


def test_the_gradient_has_the_mask_of_the_forward_pass() -> None:
    x = torch.randn(7, 13, requires_grad=True)
    weights = torch.randn(7, 13)
    dropped = drop(x, 0.3)
    (dropped * weights).sum().backward()
    mask = torch.where(dropped == 0, 0.0, LEVELS / (LEVELS - round(0.3 * LEVELS)))
    torch.testing.assert_close(dropped.detach(), (x * mask).detach())
    torch.testing.assert_close(x.grad, weights * mask)


def test_the_seed_decides_and_threads_do_not() -> None:
    x = torch.randn(64, 4096)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        first = drop(x, 0.2)
        torch.set_num_threads(2)
        assert torch.equal(first, drop(x, 0.2))
    finally:
        torch.set_num_threads(threads)
    assert not torch.equal(first, drop(x, 0.2, seed=1))


def test_modules_that_do_not_drop_return_their_input() -> None:
    x = torch.randn(5, 5)
    with BitDropout():
        assert torch.equal(nn.Dropout(0.5).eval()(x), x)
        assert torch.equal(nn.Dropout(0.0)(x), x)
        assert torch.equal(nn.Dropout(1.0)(x), torch.zeros(5, 5))
        assert (nn.Dropout(0.5, inplace=True)(x) is x) and (x == 0).any()


def test_it_ends_with_its_context() -> None:
    module, x = nn.Dropout(0.5), torch.ones(1000)

    def sample() -> torch.Tensor:
        torch.manual_seed(0)
        return module(x)

    before = sample()
    with BitDropout():
        assert not torch.equal(sample(), before)
    assert torch.equal(sample(), before)
