"""Triton kernels of position scores, on a GPU or in the interpreter (TRITON_INTERPRET=1)."""

from __future__ import annotations

import os

import pytest
import torch

pytest.importorskip("triton")
if not torch.cuda.is_available() and os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("no GPU, and TRITON_INTERPRET is not 1", allow_module_level=True)

from auxfold.model.fast import position_kernels

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def by_distance(scores: torch.Tensor, n_rows: int, length: int) -> torch.Tensor:
    """``(rows, heads, length, length)``: of each token the score by its distance to each other."""
    tokens = torch.arange(length, device=DEVICE)
    column = (tokens[None] - tokens[:, None]) + length - 1
    by_row = scores.unflatten(1, (n_rows, length)).transpose(0, 1)
    return by_row.gather(3, column.expand(*by_row.shape[:2], length, length))


@pytest.mark.parametrize("length", [16, 80])
@pytest.mark.parametrize("present", [(True, True), (True, False), (False, True)])
def test_scores_and_gradients_equal_a_gather(present: tuple[bool, bool], length: int):
    torch.manual_seed(0)
    heads, n_rows = 2, 3
    shape = (heads, n_rows * length, 2 * length)
    c2p, p2c = (
        torch.randn(shape, device=DEVICE, requires_grad=True) if is_present else None
        for is_present in present
    )
    mask = torch.zeros(n_rows, length, length, device=DEVICE)
    mask[1, :, 5:] = -1e4
    expected = mask[:, None].expand(n_rows, heads, length, length)
    if c2p is not None:  # by descending distance of the query to the key
        expected = expected + 0.3 * by_distance(c2p, n_rows, length)
    if p2c is not None:  # of each key, by ascending distance of the query to the key
        expected = expected + 0.3 * by_distance(p2c, n_rows, length).transpose(2, 3)
    bias = position_kernels.add_scores(
        None if c2p is None else c2p.detach(), None if p2c is None else p2c.detach(), mask, 0.3
    )
    torch.testing.assert_close(bias, expected.detach())
    slopes = torch.randn(n_rows, heads, length, length, device=DEVICE)
    leaves = [scores for scores in (c2p, p2c) if scores is not None]
    theirs = torch.autograd.grad(expected, leaves, slopes)
    ours = position_kernels.divide_gradient(slopes, 0.3, *present)
    assert [gradient is not None for gradient in ours] == list(present)
    for our, their in zip([g for g in ours if g is not None], theirs, strict=True):
        torch.testing.assert_close(our, their)
