"""The Triton kernels for short rows, on a GPU or in Triton's interpreter (TRITON_INTERPRET=1)."""

from __future__ import annotations

import os

import pytest
import torch

pytest.importorskip("triton")
if not torch.cuda.is_available() and os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("no GPU, and TRITON_INTERPRET is not 1", allow_module_level=True)

from auxfold.model.fast import attention_kernels

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LENGTHS = [5, 0, 20, 70]
HEADS, DIM = 2, 16


def reference(qkv: torch.Tensor, window: int) -> torch.Tensor:
    query, key, value = qkv.float().view(len(qkv), 3, HEADS, DIM).unbind(1)
    outputs = []
    for q, k, v in zip(*(x.split(LENGTHS) for x in (query, key, value)), strict=True):
        q, k, v = (x.transpose(0, 1) for x in (q, k, v))
        places = torch.arange(q.shape[1], device=DEVICE)
        is_far = (places[:, None] - places).abs() > window
        scores = (q @ k.transpose(1, 2) * DIM**-0.5).masked_fill(is_far, -torch.inf)
        weights = scores.softmax(-1)
        outputs.append((weights @ v).transpose(0, 1))
    return torch.cat(outputs).flatten(1)


def distance(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float(((ours.float() - theirs.float()).norm() / theirs.float().norm()).detach())


def attend(
    qkv: torch.Tensor, p: float = 0.0, seed: int = 0, window: int | None = None
) -> torch.Tensor:
    offsets = torch.tensor([0, *LENGTHS], device=DEVICE).cumsum(0).int()
    seeds = torch.tensor([seed], device=DEVICE)
    return attention_kernels.attend(qkv, offsets, HEADS, 80, p, seeds, window)


# Not bf16, which the interpreter multiplies wrongly.
def make_qkv() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(sum(LENGTHS), 3 * HEADS * DIM, device=DEVICE).half().requires_grad_()


@pytest.mark.parametrize("window", [None, 3])
def test_outputs_and_gradients(window):
    qkv = make_qkv()
    slopes = torch.randn(sum(LENGTHS), HEADS * DIM, device=DEVICE).half()
    ours, theirs = attend(qkv, window=window), reference(qkv, window or 80)
    assert distance(ours, theirs) < 1e-3
    (our_gradient,) = torch.autograd.grad(ours, qkv, slopes)
    (their_gradient,) = torch.autograd.grad(theirs, qkv, slopes.float())
    assert distance(our_gradient, their_gradient) < 2e-3


def test_dropout_is_that_of_the_seed_and_its_gradient_fits():
    qkv = make_qkv()
    first, second = attend(qkv, 0.2, 1 << 41), attend(qkv, 0.2, 2 << 41)
    assert torch.equal(first, attend(qkv, 0.2, 1 << 41)) and not torch.equal(first, second)
    # The output is linear in the values: what it changes by is the product with the gradient.
    slopes = torch.randn(sum(LENGTHS), HEADS * DIM, device=DEVICE).half()
    (gradient,) = torch.autograd.grad(first, qkv, slopes)
    values = slice(2 * HEADS * DIM, None)
    product = (gradient[:, values].float() * qkv[:, values].float()).sum().detach()
    torch.testing.assert_close(
        (first.float() * slopes.float()).sum().detach(), product, rtol=0.01, atol=0.5
    )
