"""The Triton kernels of the regions, on a GPU or in Triton's interpreter (TRITON_INTERPRET=1)."""

from __future__ import annotations

import os

import pytest
import torch
from torch.nn import functional as F

pytest.importorskip("triton")
if not torch.cuda.is_available() and os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("no GPU, and TRITON_INTERPRET is not 1", allow_module_level=True)

from auxfold.model.fast import region_kernels

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def assert_near(ours, theirs, tolerance=6e-3):
    for our, their in zip(ours, theirs, strict=True):
        distance = (our.float() - their.float()).norm() / their.float().norm()
        assert float(distance.detach()) < tolerance


@pytest.mark.parametrize("returns_sum", [False, True])
@pytest.mark.parametrize("has_bias", [True, False])
def test_add_norm(has_bias, returns_sum):
    torch.manual_seed(0)
    x = torch.randn(70, 48, device=DEVICE).bfloat16().requires_grad_()
    residual = torch.randn(70, 48, device=DEVICE, requires_grad=True)
    weight, *biases = torch.randn(3, 48, device=DEVICE).unbind()
    weight.requires_grad_()
    x_bias, bias = (b.requires_grad_() if has_bias else None for b in biases)
    seed = torch.zeros(1, dtype=torch.int64, device=DEVICE)
    total = (x.float() if x_bias is None else x.float() + x_bias) + residual
    normed = F.layer_norm(total, (48,), weight, bias, 1e-5)
    theirs = (total if returns_sum else normed, normed)
    ours = region_kernels.add_norm(
        x, x_bias, residual, weight, bias, eps=1e-5, p=0.0, seed=seed, returns_sum=returns_sum
    )
    assert_near(ours, theirs)
    leaves = [t for t in (x, x_bias, residual, weight, bias) if t is not None]
    slopes = torch.randn(70, 48, device=DEVICE), torch.randn(70, 48, device=DEVICE).bfloat16()
    assert_near(
        torch.autograd.grad(ours, leaves, slopes),
        torch.autograd.grad(theirs, leaves, (slopes[0], slopes[1].float())),
    )


def test_gelu_and_column_sums():
    torch.manual_seed(0)
    x = torch.randn(70, 200, device=DEVICE).bfloat16().requires_grad_()
    bias = torch.randn(200, device=DEVICE, requires_grad=True)
    slopes = torch.randn(70, 200, device=DEVICE).bfloat16()
    ours, theirs = region_kernels.gelu(x, bias), F.gelu(x.float() + bias)
    assert_near([ours], [theirs])
    assert_near(
        torch.autograd.grad(ours, (x, bias), slopes),
        torch.autograd.grad(theirs, (x, bias), slopes.float()),
    )
    assert_near([region_kernels.column_sums(slopes)], [slopes.float().sum(0)], 1e-6)


def test_gated_gelu():
    torch.manual_seed(0)
    x = torch.randn(40, 100, device=DEVICE).half().requires_grad_()
    slopes = torch.randn(40, 50, device=DEVICE).half()
    a, b = x.float().chunk(2, dim=1)
    ours, theirs = region_kernels.gated_gelu(x), F.gelu(a) * b
    assert_near([ours], [theirs])
    assert_near(
        torch.autograd.grad(ours, x, slopes), torch.autograd.grad(theirs, x, slopes.float())
    )


def test_rotate_qkv():
    torch.manual_seed(0)
    qkv = torch.randn(40, 3 * 2 * 16, device=DEVICE).half().requires_grad_()
    slopes = torch.randn_like(qkv)
    angles = torch.randn(40, 8, device=DEVICE).repeat(1, 2)
    cos, sin = angles.cos(), angles.sin()
    parts = qkv.float().view(40, 3, 2, 16)
    a, b = parts.chunk(2, dim=-1)
    rotated = parts * cos[:, None, None] + torch.cat([-b, a], dim=-1) * sin[:, None, None]
    theirs = torch.cat([rotated[:, :2], parts[:, 2:]], dim=1).flatten(1)
    ours = region_kernels.rotate_qkv(qkv, cos, sin, 2)
    assert_near([ours], [theirs])
    assert_near(
        torch.autograd.grad(ours, qkv, slopes), torch.autograd.grad(theirs, qkv, slopes.float())
    )


def test_dropout_drops_its_share_and_backward_has_the_same_mask():
    x = torch.ones(400, 64, device=DEVICE).bfloat16().requires_grad_()
    zeros, weight = torch.zeros(400, 64, device=DEVICE), torch.ones(64, device=DEVICE)

    def dropped(seed: int) -> torch.Tensor:
        seeds = torch.tensor([seed], device=DEVICE)
        return region_kernels.add_norm(
            x, None, zeros, weight, None, eps=1e-5, p=0.25, seed=seeds, returns_sum=True
        )[0]

    first, second = dropped(7 << 40), dropped(8 << 40)
    torch.testing.assert_close(first.unique().cpu(), torch.tensor([0.0, 4 / 3]))
    (gradient,) = torch.autograd.grad(first, x, torch.ones_like(first))
    torch.testing.assert_close(gradient.float(), first, atol=0.01, rtol=0)
    masks = [(values > 0).float() - 0.75 for values in (first, second)]
    assert abs(float(masks[0].mean().detach())) < 0.011  # four deviations
    assert abs(float((masks[0] * masks[1]).mean().detach())) / 0.1875 < 0.025
