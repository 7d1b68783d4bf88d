"""The regions between matrix products as Triton kernels, each with its bias and its gradients.

A region is one kernel forward and two backward: one goes over the tokens and keeps sums for the
gradients of biases and layer norms in registers, the other adds the sums of all its programs. The
masks of dropout are not stored. They follow from a seed on the device, so that each replay of a
CUDA graph has its own.

Only imported where Triton is installed and runs.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch.autograd.function import once_differentiable

from auxfold.model.fast.activation_kernels import add_sums, column_sums, gated_gelu, gelu, jit

__all__ = ["add_norm", "column_sums", "gated_gelu", "gelu", "rotate_qkv", "try_all", "uniform"]

# Programs that go over the tokens, each over at least so many; each leaves a row of sums.
_MAX_PROGRAMS, _MIN_TOKENS = 1024, 4


@triton.jit
def uniform(seed, index):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Numbers in [0, 1): the finalizer of MurmurHash3 over both halves of a seed and an index."""
    number = index.to(tl.uint32) * 0x9E3779B1 ^ (seed & 0xFFFFFFFF).to(tl.uint32)
    number = (number ^ (number >> 16)) * 0x85EBCA6B
    number = number ^ (number >> 13) ^ ((seed >> 32) & 0xFFFFFFFF).to(tl.uint32)
    number = number * 0xC2B2AE35
    number = (number ^ (number >> 16)) * 0x85EBCA6B
    number = number ^ (number >> 13)
    return (number >> 8).to(tl.float32) * (1.0 / 16777216.0)


@triton.jit
def _residual_sum(  # type: ignore[no-untyped-def]  # noqa: ANN202
    x, x_bias, residual, seed, p, index, columns, mask,  # noqa: ANN001
    HAS_X_BIAS: tl.constexpr, HAS_DROPOUT: tl.constexpr,
):  # fmt: skip
    """``dropout(x + x_bias) + residual`` of one token, and the factors of dropout."""
    value = tl.load(x + index, mask=mask, other=0.0).to(tl.float32)
    if HAS_X_BIAS:
        value += tl.load(x_bias + columns, mask=mask, other=0.0).to(tl.float32)
    factor = tl.where(mask, 1.0, 0.0)
    if HAS_DROPOUT:
        factor = tl.where(uniform(tl.load(seed), index) >= p, 1.0 / (1.0 - p), 0.0)
    total = value * factor + tl.load(residual + index, mask=mask, other=0.0).to(tl.float32)
    return total, factor


@jit
def _add_norm_forward(  # type: ignore[no-untyped-def]  # noqa: ANN202
    x, x_bias, residual, weight, bias, seed,  # noqa: ANN001
    hidden, low, means, scales, p, eps, width,  # noqa: ANN001
    HAS_X_BIAS: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_DROPOUT: tl.constexpr,
    RETURNS_SUM: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0)
    columns = tl.arange(0, BLOCK)
    mask = columns < width
    index = row * width + columns
    total, _ = _residual_sum(
        x, x_bias, residual, seed, p, index, columns, mask, HAS_X_BIAS, HAS_DROPOUT
    )
    mean = tl.sum(total, axis=0) / width
    centered = tl.where(mask, total - mean, 0.0)
    scale = 1.0 / tl.sqrt(tl.sum(centered * centered, axis=0) / width + eps)
    normed = centered * scale * tl.load(weight + columns, mask=mask, other=0.0)
    if HAS_BIAS:
        normed += tl.load(bias + columns, mask=mask, other=0.0)
    tl.store(means + row, mean)
    tl.store(scales + row, scale)
    tl.store(hidden + index, total if RETURNS_SUM else normed, mask=mask)
    tl.store(low + index, normed.to(low.dtype.element_ty), mask=mask)


@jit
def _add_norm_backward(  # type: ignore[no-untyped-def]  # noqa: ANN202
    d_hidden, d_low, x, x_bias, residual, weight, seed, means, scales,  # noqa: ANN001
    d_x, d_residual, sums, p, n_rows, width,  # noqa: ANN001
    HAS_D_HIDDEN: tl.constexpr, HAS_D_LOW: tl.constexpr, HAS_X_BIAS: tl.constexpr,
    HAS_DROPOUT: tl.constexpr, RETURNS_SUM: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0)
    columns = tl.arange(0, BLOCK)
    mask = columns < width
    gain = tl.load(weight + columns, mask=mask, other=0.0)
    d_weight = tl.zeros([BLOCK], tl.float32)
    d_bias = tl.zeros([BLOCK], tl.float32)
    d_x_bias = tl.zeros([BLOCK], tl.float32)
    for row in range(program, n_rows, tl.num_programs(0)):
        index = row * width + columns
        total, factor = _residual_sum(
            x, x_bias, residual, seed, p, index, columns, mask, HAS_X_BIAS, HAS_DROPOUT
        )
        scale = tl.load(scales + row)
        normed = tl.where(mask, (total - tl.load(means + row)) * scale, 0.0)
        d_normed = tl.zeros([BLOCK], tl.float32)
        if HAS_D_LOW:
            d_normed += tl.load(d_low + index, mask=mask, other=0.0).to(tl.float32)
        if HAS_D_HIDDEN and not RETURNS_SUM:
            d_normed += tl.load(d_hidden + index, mask=mask, other=0.0)
        d_weight += d_normed * normed
        d_bias += d_normed
        scaled = d_normed * gain
        along = tl.sum(scaled * normed, axis=0) / width
        d_total = (scaled - tl.sum(scaled, axis=0) / width - normed * along) * scale
        if HAS_D_HIDDEN and RETURNS_SUM:
            d_total += tl.load(d_hidden + index, mask=mask, other=0.0)
        dropped = d_total * factor
        d_x_bias += dropped
        tl.store(d_residual + index, d_total, mask=mask)
        tl.store(d_x + index, dropped.to(d_x.dtype.element_ty), mask=mask)
    start = sums + program * 3 * width
    tl.store(start + columns, d_weight, mask=mask)
    tl.store(start + width + columns, d_bias, mask=mask)
    tl.store(start + 2 * width + columns, d_x_bias, mask=mask)


@jit
def _rotate(  # type: ignore[no-untyped-def]  # noqa: ANN202
    x, cos, sin, y, direction, n_rows, n_heads,  # noqa: ANN001
    DIM: tl.constexpr, TOKENS: tl.constexpr,
):  # fmt: skip
    """Rotate queries and keys, and copy values, of some tokens and one head of one of the three."""
    tokens = tl.program_id(0) * TOKENS + tl.arange(0, TOKENS)
    half = tl.arange(0, DIM // 2)
    mask = (tokens < n_rows)[:, None] & (half >= 0)[None, :]
    head = tl.program_id(1)  # of 3 * n_heads: queries, keys, values
    index = tokens[:, None] * (3 * n_heads * DIM) + head * DIM + half[None, :]
    a = tl.load(x + index, mask=mask, other=0.0).to(tl.float32)
    b = tl.load(x + index + DIM // 2, mask=mask, other=0.0).to(tl.float32)
    if head < 2 * n_heads:
        angle = tokens[:, None] * DIM + half[None, :]
        c = tl.load(cos + angle, mask=mask, other=0.0)
        s = tl.load(sin + angle, mask=mask, other=0.0) * direction
        first = a * c - b * s
        b = b * c + a * s
        a = first
    tl.store(y + index, a.to(y.dtype.element_ty), mask=mask)
    tl.store(y + index + DIM // 2, b.to(y.dtype.element_ty), mask=mask)


class _RotateQkv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, qkv: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, n_heads: int
    ) -> torch.Tensor:
        ctx.save_for_backward(cos, sin)
        ctx.n_heads = n_heads
        return _rotated(qkv, cos, sin, n_heads, 1.0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        return _rotated(grad.contiguous(), cos, sin, ctx.n_heads, -1.0), None, None, None


def _rotated(
    qkv: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, n_heads: int, direction: float
) -> torch.Tensor:
    y = torch.empty_like(qkv)
    n_rows, dim = len(qkv), qkv.shape[1] // (3 * n_heads)
    _rotate[(max(triton.cdiv(n_rows, 64), 1), 3 * n_heads)](
        qkv, cos, sin, y, direction, n_rows, n_heads, DIM=dim, TOKENS=64
    )
    return y


def rotate_qkv(
    qkv: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, n_heads: int
) -> torch.Tensor:
    """Rotary positions of the queries and keys in ``qkv`` ``(tokens, 3 * heads * dim)``.

    Args:
        qkv: queries, keys and values in half precision; ``dim`` is a power of two.
        cos: fp32 ``(tokens, dim)``, whose halves are equal.
        sin: the same.
        n_heads: how many heads.
    """
    output: torch.Tensor = _RotateQkv.apply(qkv, cos.contiguous(), sin.contiguous(), n_heads)
    return output


class _AddNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        x_bias: torch.Tensor | None,
        residual: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        eps: float,
        p: float,
        seed: torch.Tensor,
        returns_sum: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        n_rows, width = x.shape
        hidden, low = torch.empty_like(residual), torch.empty_like(x)
        means, scales = residual.new_empty(2, n_rows).unbind()
        block = triton.next_power_of_2(width)
        _add_norm_forward[(n_rows,)](
            x, x if x_bias is None else x_bias, residual, weight,
            weight if bias is None else bias, seed, hidden, low, means, scales, p, eps, width,
            HAS_X_BIAS=x_bias is not None, HAS_BIAS=bias is not None, HAS_DROPOUT=p > 0,
            RETURNS_SUM=returns_sum, BLOCK=block, num_warps=_n_warps(block),
        )  # fmt: skip
        ctx.save_for_backward(x, x_bias, residual, weight, means, scales, seed)
        ctx.p, ctx.returns_sum = p, returns_sum
        ctx.set_materialize_grads(False)
        return hidden, low

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, d_hidden: torch.Tensor | None, d_low: torch.Tensor | None
    ) -> tuple[torch.Tensor | None, ...]:
        x, x_bias, residual, weight, means, scales, seed = ctx.saved_tensors
        if d_hidden is None and d_low is None:
            return (None,) * 9
        d_hidden = None if d_hidden is None else d_hidden.contiguous()
        d_low = None if d_low is None else d_low.contiguous()
        n_rows, width = x.shape
        d_x, d_residual = torch.empty_like(x), torch.empty_like(residual)
        n_programs = min(max(triton.cdiv(n_rows, _MIN_TOKENS), 1), _MAX_PROGRAMS)
        sums = residual.new_empty(n_programs, 3 * width)
        block = triton.next_power_of_2(width)
        _add_norm_backward[(n_programs,)](
            residual if d_hidden is None else d_hidden, x if d_low is None else d_low, x,
            x if x_bias is None else x_bias, residual, weight, seed, means, scales,
            d_x, d_residual, sums, ctx.p, n_rows, width,
            HAS_D_HIDDEN=d_hidden is not None, HAS_D_LOW=d_low is not None,
            HAS_X_BIAS=x_bias is not None, HAS_DROPOUT=ctx.p > 0, RETURNS_SUM=ctx.returns_sum,
            BLOCK=block, num_warps=_n_warps(block),
        )  # fmt: skip
        d_weight, d_bias, d_x_bias = add_sums(sums).split(width)
        needed = ctx.needs_input_grad
        return (
            d_x,
            d_x_bias if needed[1] else None,
            d_residual if needed[2] else None,
            d_weight if needed[3] else None,
            d_bias if needed[4] else None,
            None,
            None,
            None,
            None,
        )


def add_norm(
    x: torch.Tensor,
    x_bias: torch.Tensor | None,
    residual: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    *,
    eps: float,
    p: float,
    seed: torch.Tensor,
    returns_sum: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """``LayerNorm(dropout(x + x_bias) + residual)``, in fp32 and in the dtype of ``x``.

    Args:
        x: ``(tokens, hidden)`` in half precision.
        x_bias: fp32 ``(hidden,)`` or None.
        residual: fp32 ``(tokens, hidden)``.
        weight: fp32 ``(hidden,)``, of the layer norm.
        bias: fp32 ``(hidden,)`` or None, of the layer norm.
        eps: of the layer norm.
        p: the probability of dropout; 0 where it is not active.
        seed: int64 ``(1,)`` on the device.
        returns_sum: whether the first output is the sum before the layer norm.
    """
    hidden, low = _AddNorm.apply(
        x, x_bias, residual.contiguous(), weight, bias, eps, p, seed, returns_sum
    )
    return hidden, low


def try_all(device: torch.device) -> None:
    """Run every kernel once, forward and backward, on a few numbers.

    Raises:
        Exception: what Triton raises where it cannot compile or run one.
    """
    x = torch.ones(2, 96, dtype=torch.float16, device=device, requires_grad=True)
    vector = torch.ones(96, device=device, requires_grad=True)
    angles = torch.ones(2, 16, device=device)
    seed = torch.zeros(2, dtype=torch.int64, device=device)
    rotated = rotate_qkv(gelu(x, vector), angles, angles, 2)
    hidden, low = add_norm(rotated, vector, x.float(), vector, vector, eps=1e-5, p=0.1, seed=seed)
    gated_gelu((hidden + low).half()).sum().backward()


def _n_warps(block: int) -> int:
    return min(max(block // 256, 1), 8)
