"""Triton kernels for the scores of relative positions in a block; see ``disentangled``.

Only imported where Triton is installed and runs.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

_TILE = 64


# One compilation serves all sizes, so that nothing is compiled while a CUDA graph is captured.
_jit = triton.jit(do_not_specialize=["n_rows", "units"])


@_jit
def _add_scores(  # type: ignore[no-untyped-def]  # noqa: ANN202
    c2p, p2c, mask, bias, n_rows, units, scale,  # noqa: ANN001
    HAS_C2P: tl.constexpr, HAS_P2C: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    length = units * 16
    tiles = tl.cdiv(length, TILE)
    queries = (tl.program_id(0) // tiles) * TILE + tl.arange(0, TILE)
    keys = (tl.program_id(0) % tiles) * TILE + tl.arange(0, TILE)
    is_query, is_key = queries < length, keys < length
    inside = is_query[:, None] & is_key[None, :]
    block = tl.program_id(1).to(tl.int64)  # head * n_rows + row
    start = block * length * 2 * length + length - 1
    stride = 2 * length - 1
    total = tl.zeros([TILE, TILE], tl.float32)
    if HAS_C2P:
        index = start + queries[:, None] * stride + keys[None, :]
        total += tl.load(c2p + index, mask=inside, other=0.0).to(tl.float32)
    if HAS_P2C:
        # Along the queries, which are neighbors in memory, and transposed afterwards.
        index = start + keys[:, None] * stride + queries[None, :]
        by_key = tl.load(p2c + index, mask=is_key[:, None] & is_query[None, :], other=0.0)
        total += tl.trans(by_key.to(tl.float32))
    pair = queries[:, None] * length + keys[None, :]
    masked = tl.load(mask + (block % n_rows) * length * length + pair, mask=inside, other=0.0)
    total = total * scale + masked.to(tl.float32)
    tl.store(bias + block * length * length + pair, total.to(bias.dtype.element_ty), mask=inside)


@_jit
def _divide_gradient(  # type: ignore[no-untyped-def]  # noqa: ANN202
    d_bias, d_c2p, d_p2c, n_rows, units, scale,  # noqa: ANN001
    HAS_C2P: tl.constexpr, HAS_P2C: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """Each program also writes the zeros of the distances that do not occur in its rows."""
    length = units * 16
    tiles = tl.cdiv(length, TILE)
    queries = (tl.program_id(0) // tiles) * TILE + tl.arange(0, TILE)
    keys = (tl.program_id(0) % tiles) * TILE + tl.arange(0, TILE)
    is_query, is_key = queries < length, keys < length
    inside = is_query[:, None] & is_key[None, :]
    block = tl.program_id(1).to(tl.int64)
    width = 2 * length
    n_heads = tl.num_programs(1) // n_rows
    start = ((block % n_rows) * n_heads + block // n_rows) * length * length
    pair = queries[:, None] * length + keys[None, :]
    slope = tl.load(d_bias + start + pair, mask=inside, other=0.0).to(tl.float32) * scale
    if HAS_C2P:
        row = block * length * width + queries[:, None] * width
        column = keys[None, :] - queries[:, None] + length - 1
        tl.store(d_c2p + row + column, slope.to(d_c2p.dtype.element_ty), mask=inside)
        zeros = tl.zeros([TILE, TILE], d_c2p.dtype.element_ty)
        tl.store(d_c2p + row + (column + length) % width, zeros, mask=inside)
    if HAS_P2C:
        inside = is_key[:, None] & is_query[None, :]
        row = block * length * width + keys[:, None] * width
        column = queries[None, :] - keys[:, None] + length - 1
        by_key = tl.trans(slope).to(d_p2c.dtype.element_ty)
        tl.store(d_p2c + row + column, by_key, mask=inside)
        zeros = tl.zeros([TILE, TILE], d_p2c.dtype.element_ty)
        tl.store(d_p2c + row + (column + length) % width, zeros, mask=inside)


def add_scores(
    c2p: torch.Tensor | None, p2c: torch.Tensor | None, mask: torch.Tensor, scale: float
) -> torch.Tensor:
    """The mask plus the scaled scores, ``(rows, heads, queries, keys)``.

    Args:
        c2p: ``(heads, rows * length, 2 * length)``, contiguous, by descending distance; or None.
        p2c: the same by ascending distance; or None.
        mask: ``(rows, length, length)``; the length is a multiple of 16.
        scale: the factor of both scores.
    """
    scores = p2c if c2p is None else c2p
    assert scores is not None
    n_rows, length, _ = mask.shape
    bias = scores.new_empty(len(scores), n_rows, length, length)
    _add_scores[_grid(length, len(scores) * n_rows)](
        scores if c2p is None else c2p, scores if p2c is None else p2c, mask.contiguous(), bias,
        n_rows, length // 16, scale,
        HAS_C2P=c2p is not None, HAS_P2C=p2c is not None, TILE=_TILE,
    )  # fmt: skip
    return bias.transpose(0, 1)


def divide_gradient(
    d_bias: torch.Tensor, scale: float, has_c2p: bool, has_p2c: bool
) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """The gradients of both scores from that of the bias ``(rows, heads, queries, keys)``."""
    n_rows, heads, length, _ = d_bias.shape
    d_bias = d_bias.contiguous()
    shape = (heads, n_rows * length, 2 * length)
    d_c2p = d_bias.new_empty(shape) if has_c2p else None
    d_p2c = d_bias.new_empty(shape) if has_p2c else None
    _divide_gradient[_grid(length, heads * n_rows)](
        d_bias, d_bias if d_c2p is None else d_c2p, d_bias if d_p2c is None else d_p2c,
        n_rows, length // 16, scale,
        HAS_C2P=has_c2p, HAS_P2C=has_p2c, TILE=_TILE,
    )  # fmt: skip
    return d_c2p, d_p2c


def _grid(length: int, n_blocks: int) -> tuple[int, int]:
    return triton.cdiv(length, _TILE) ** 2, n_blocks
