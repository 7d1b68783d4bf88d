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
    """A tile of both gradients: stores are aligned, and zero at the distances that do not occur."""
    length = units * 16
    width = 2 * length
    column_tiles = tl.cdiv(width, TILE)
    first_row = (tl.program_id(0) // column_tiles) * TILE
    first_column = (tl.program_id(0) % column_tiles) * TILE
    rows, columns = first_row + tl.arange(0, TILE), first_column + tl.arange(0, TILE)
    inside = (rows < length)[:, None] & (columns < width)[None, :]
    block = tl.program_id(1).to(tl.int64)
    n_heads = tl.num_programs(1) // n_rows
    d_bias += ((block % n_rows) * n_heads + block // n_rows) * length * length
    target = block * length * width + rows[:, None] * width + columns[None, :]
    if HAS_C2P:  # rows are queries
        keys = columns[None, :] + rows[:, None] - (length - 1)
        occurs = inside & (keys >= 0) & (keys < length)
        slope = tl.load(d_bias + rows[:, None] * length + keys, mask=occurs, other=0.0)
        slope = (slope.to(tl.float32) * scale).to(d_c2p.dtype.element_ty)
        tl.store(d_c2p + target, slope, mask=inside)
    if HAS_P2C:  # rows are keys: the queries of all columns as they are in memory, then each key's
        queries = first_row + first_column - (length - 1) + tl.arange(0, 2 * TILE)
        occurs = ((queries >= 0) & (queries < length))[:, None] & (rows < length)[None, :]
        index = queries[:, None] * length + rows[None, :]
        slope = tl.load(d_bias + index, mask=occurs, other=0.0)
        tile = tl.arange(0, TILE)
        by_key = tl.trans(tl.gather(slope, tile[:, None] + tile[None, :], 0))
        by_key = (by_key.to(tl.float32) * scale).to(d_p2c.dtype.element_ty)
        tl.store(d_p2c + target, by_key, mask=inside)


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
    grid = (triton.cdiv(length, _TILE) ** 2, len(scores) * n_rows)
    _add_scores[grid](
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
    grid = (triton.cdiv(length, _TILE) * triton.cdiv(2 * length, _TILE), heads * n_rows)
    _divide_gradient[grid](
        d_bias, d_bias if d_c2p is None else d_c2p, d_bias if d_p2c is None else d_p2c,
        n_rows, length // 16, scale,
        HAS_C2P=has_c2p, HAS_P2C=has_p2c, TILE=_TILE,
    )  # fmt: skip
    return d_c2p, d_p2c


def try_all(device: torch.device) -> None:
    """Run every kernel once on a device.

    Raises:
        Exception: whatever Triton or its compiler raise where they do not run.
    """
    scores = torch.zeros(1, 16, 32, dtype=torch.float16, device=device)
    bias = add_scores(scores, scores, scores[:, :, :16], 1.0)
    divide_gradient(bias, 1.0, True, True)
