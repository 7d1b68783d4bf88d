"""Activations as Triton kernels, with the gradient of the bias before them.

Only imported where Triton is installed and runs.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch.autograd.function import once_differentiable

# Tiles of the kernels without a reduction over the width.
_TILE_ROWS, _TILE_COLUMNS = 32, 128
# A size that is a multiple of 16 would be another variant, compiled when it first occurs: maybe
# while a CUDA graph is captured.
jit = triton.jit(do_not_specialize=["n_rows", "n_sums"])


@jit
def _gelu_forward(  # type: ignore[no-untyped-def]  # noqa: ANN202
    x, bias, y, n_rows, width,  # noqa: ANN001
    HAS_BIAS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    mask = (rows < n_rows)[:, None] & (columns < width)[None, :]
    index = rows[:, None] * width + columns[None, :]
    value = tl.load(x + index, mask=mask, other=0.0).to(tl.float32)
    if HAS_BIAS:
        value += tl.load(bias + columns, mask=columns < width, other=0.0)[None, :]
    output = value * 0.5 * (1.0 + tl.math.erf(value * 0.7071067811865476))
    tl.store(y + index, output.to(y.dtype.element_ty), mask=mask)


@jit
def _sum_columns(  # type: ignore[no-untyped-def]  # noqa: ANN202
    d_y, x, bias, d_x, sums, n_rows, width,  # noqa: ANN001
    IS_GELU: tl.constexpr, HAS_BIAS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Sums of ``d_y`` over some of the rows; with ``IS_GELU`` of its product with GELU's slope."""
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    in_width = columns < width
    total = tl.zeros([COLUMNS], tl.float32)
    shift = tl.zeros([COLUMNS], tl.float32)
    if IS_GELU and HAS_BIAS:
        shift = tl.load(bias + columns, mask=in_width, other=0.0)
    for block in range(tl.program_id(0), tl.cdiv(n_rows, ROWS), tl.num_programs(0)):
        rows = block * ROWS + tl.arange(0, ROWS)
        mask = (rows < n_rows)[:, None] & in_width[None, :]
        index = rows[:, None] * width + columns[None, :]
        slope = tl.load(d_y + index, mask=mask, other=0.0).to(tl.float32)
        if IS_GELU:
            value = tl.load(x + index, mask=mask, other=0.0).to(tl.float32) + shift[None, :]
            share = 0.5 * (1.0 + tl.math.erf(value * 0.7071067811865476))
            density = 0.3989422804014327 * tl.exp(-0.5 * value * value)
            slope = slope * (share + value * density)
            tl.store(d_x + index, slope.to(d_x.dtype.element_ty), mask=mask)
        total += tl.sum(slope, axis=0)
    tl.store(sums + tl.program_id(0) * width + columns, total, mask=in_width)


@jit
def _gated_forward(  # type: ignore[no-untyped-def]  # noqa: ANN202
    x, y, n_rows, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr  # noqa: ANN001
):  # fmt: skip
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    mask = (rows < n_rows)[:, None] & (columns < width)[None, :]
    index = rows[:, None] * 2 * width + columns[None, :]
    value = tl.load(x + index, mask=mask, other=0.0).to(tl.float32)
    gate = tl.load(x + index + width, mask=mask, other=0.0).to(tl.float32)
    output = value * 0.5 * (1.0 + tl.math.erf(value * 0.7071067811865476)) * gate
    target = rows[:, None] * width + columns[None, :]
    tl.store(y + target, output.to(y.dtype.element_ty), mask=mask)


@jit
def _gated_backward(  # type: ignore[no-untyped-def]  # noqa: ANN202
    d_y, x, d_x, n_rows, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr  # noqa: ANN001
):  # fmt: skip
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    mask = (rows < n_rows)[:, None] & (columns < width)[None, :]
    index = rows[:, None] * 2 * width + columns[None, :]
    value = tl.load(x + index, mask=mask, other=0.0).to(tl.float32)
    gate = tl.load(x + index + width, mask=mask, other=0.0).to(tl.float32)
    target = rows[:, None] * width + columns[None, :]
    slope = tl.load(d_y + target, mask=mask, other=0.0).to(tl.float32)
    share = 0.5 * (1.0 + tl.math.erf(value * 0.7071067811865476))
    density = 0.3989422804014327 * tl.exp(-0.5 * value * value)
    d_value = slope * gate * (share + value * density)
    tl.store(d_x + index, d_value.to(d_x.dtype.element_ty), mask=mask)
    tl.store(d_x + index + width, (slope * value * share).to(d_x.dtype.element_ty), mask=mask)


@jit
def _add_sums(  # type: ignore[no-untyped-def]  # noqa: ANN202
    sums, output, n_sums, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr  # noqa: ANN001
):  # fmt: skip
    columns = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    total = tl.zeros([ROWS, COLUMNS], tl.float32)
    for start in range(0, n_sums, ROWS):
        rows = start + tl.arange(0, ROWS)
        mask = (rows < n_sums)[:, None] & (columns < width)[None, :]
        total += tl.load(sums + rows[:, None] * width + columns[None, :], mask=mask, other=0.0)
    tl.store(output + columns, tl.sum(total, axis=0), mask=columns < width)


def add_sums(sums: torch.Tensor) -> torch.Tensor:
    """The sum ``(width,)`` over the rows of ``(programs, width)``."""
    n_sums, width = sums.shape
    output = sums.new_empty(width)
    _add_sums[(triton.cdiv(width, 16),)](sums, output, n_sums, width, ROWS=128, COLUMNS=16)
    return output


def column_sums(x: torch.Tensor) -> torch.Tensor:
    """The sum over the tokens of ``x`` ``(tokens, width)``, fp32 ``(width,)``."""
    return _slopes(x.contiguous(), None, None)[1]


def _slopes(
    d_y: torch.Tensor, x: torch.Tensor | None, bias: torch.Tensor | None
) -> tuple[torch.Tensor | None, torch.Tensor]:
    n_rows, width = d_y.shape
    n_programs = max(min(triton.cdiv(n_rows, _TILE_ROWS), 64), 1)
    d_x = None if x is None else torch.empty_like(x)
    sums = d_y.new_empty(n_programs, width, dtype=torch.float32)
    _sum_columns[(n_programs, triton.cdiv(width, _TILE_COLUMNS))](
        d_y, d_y if x is None else x, d_y if bias is None else bias, d_y if d_x is None else d_x,
        sums, n_rows, width, IS_GELU=x is not None, HAS_BIAS=bias is not None,
        ROWS=_TILE_ROWS, COLUMNS=_TILE_COLUMNS,
    )  # fmt: skip
    return d_x, add_sums(sums)


class _Gelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        ctx.save_for_backward(x, bias)
        n_rows, width = x.shape
        y = torch.empty_like(x)
        grid = (max(triton.cdiv(n_rows, _TILE_ROWS), 1), triton.cdiv(width, _TILE_COLUMNS))
        _gelu_forward[grid](
            x, x if bias is None else bias, y, n_rows, width,
            HAS_BIAS=bias is not None, ROWS=_TILE_ROWS, COLUMNS=_TILE_COLUMNS,
        )  # fmt: skip
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, bias = ctx.saved_tensors
        d_x, d_bias = _slopes(d_y.contiguous(), x, bias)
        return d_x, d_bias if ctx.needs_input_grad[1] else None


def gelu(x: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """``GELU(x + bias)``, exact and not by tanh.

    Args:
        x: ``(tokens, width)`` in half precision.
        bias: fp32 ``(width,)`` or None.
    """
    output: torch.Tensor = _Gelu.apply(x, bias)
    return output


class _GatedGelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        n_rows, width = len(x), x.shape[1] // 2
        y = x.new_empty(n_rows, width)
        grid = (max(triton.cdiv(n_rows, _TILE_ROWS), 1), triton.cdiv(width, _TILE_COLUMNS))
        _gated_forward[grid](x, y, n_rows, width, ROWS=_TILE_ROWS, COLUMNS=_TILE_COLUMNS)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        n_rows, width = len(x), x.shape[1] // 2
        d_x = torch.empty_like(x)
        grid = (max(triton.cdiv(n_rows, _TILE_ROWS), 1), triton.cdiv(width, _TILE_COLUMNS))
        _gated_backward[grid](
            d_y.contiguous(), x, d_x, n_rows, width, ROWS=_TILE_ROWS, COLUMNS=_TILE_COLUMNS
        )
        return d_x


def gated_gelu(x: torch.Tensor) -> torch.Tensor:
    """``GELU(a) * b`` ``(tokens, width)`` of ``x`` ``(tokens, 2 * width)`` in half precision."""
    output: torch.Tensor = _GatedGelu.apply(x)
    return output
