"""Attention within short rows as two Triton kernels, from one tensor of queries, keys and values.

Flash attention cuts rows into tiles that are meant for long ones, and returns three gradients that
have to be put together. With rows of about 50 tokens that is most of its time. Here a program has a
tile of one row and head, backward is a single kernel, and its gradient has the layout of the
product before it.

Only imported where Triton is installed and runs.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch.autograd.function import once_differentiable

from auxfold.model.fast.region_kernels import uniform

_TILE = 64
# See region_kernels.
_jit = triton.jit(do_not_specialize=["n_tokens", "max_length", "n_tiles", "window"])


@triton.jit
def _load(  # type: ignore[no-untyped-def]  # noqa: ANN202
    x, start, rows, n, stride, DIM: tl.constexpr  # noqa: ANN001
):  # fmt: skip
    """The tokens ``rows`` of a row of ``n`` tokens, ``(rows, dim)``; zeros after its end."""
    index = (start + rows)[:, None] * stride + tl.arange(0, DIM)[None, :]
    return tl.load(x + index, mask=(rows < n)[:, None], other=0.0)


@triton.jit
def _store(  # type: ignore[no-untyped-def]  # noqa: ANN202
    x, values, start, rows, n, stride, DIM: tl.constexpr  # noqa: ANN001
):  # fmt: skip
    index = (start + rows)[:, None] * stride + tl.arange(0, DIM)[None, :]
    tl.store(x + index, values.to(x.dtype.element_ty), mask=(rows < n)[:, None])


@triton.jit
def _dropout_factors(  # type: ignore[no-untyped-def]  # noqa: ANN202
    seed, p, head, tokens, keys, n_tokens, max_length  # noqa: ANN001
):  # fmt: skip
    """What dropout multiplies the weights ``(queries, keys)`` with."""
    index = (head * n_tokens + tokens)[:, None] * max_length + keys[None, :]
    return tl.where(uniform(tl.load(seed), index) >= p, 1.0 / (1.0 - p), 0.0)


@_jit
def _attend_forward(  # type: ignore[no-untyped-def]  # noqa: ANN202
    qkv, offsets, output, logsumexp, seed, p, scale, n_tokens, n_heads, max_length,  # noqa: ANN001
    window,  # noqa: ANN001
    HAS_DROPOUT: tl.constexpr, DIM: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    head, row = tl.program_id(1), tl.program_id(2)
    start = tl.load(offsets + row)
    n = tl.load(offsets + row + 1) - start
    queries = tl.program_id(0) * TILE + tl.arange(0, TILE)
    width = n_heads * DIM
    if tl.program_id(0) * TILE < n:
        q = _load(qkv + head * DIM, start, queries, n, 3 * width, DIM)
        largest = tl.full([TILE], float("-inf"), tl.float32)
        total = tl.zeros([TILE], tl.float32)
        attended = tl.zeros([TILE, DIM], tl.float32)
        for first in range(0, n, TILE):
            keys = first + tl.arange(0, TILE)
            k = _load(qkv + width + head * DIM, start, keys, n, 3 * width, DIM)
            v = _load(qkv + 2 * width + head * DIM, start, keys, n, 3 * width, DIM)
            is_near = (tl.abs(queries[:, None] - keys[None, :]) <= window) & (keys < n)[None, :]
            scores = tl.where(is_near, tl.dot(q, tl.trans(k)) * scale, float("-inf"))
            new_largest = tl.maximum(largest, tl.max(scores, 1))
            # Where no key was near so far, the differences below are infinite and not NaN.
            finite = tl.where(new_largest == float("-inf"), 0.0, new_largest)
            weights = tl.exp(scores - finite[:, None])
            shrink = tl.exp(largest - finite)
            total = total * shrink + tl.sum(weights, 1)
            if HAS_DROPOUT:
                weights *= _dropout_factors(
                    seed, p, head, start + queries, keys, n_tokens, max_length
                )
            attended = attended * shrink[:, None] + tl.dot(weights.to(v.dtype), v)
            largest = new_largest
        _store(output + head * DIM, attended / total[:, None], start, queries, n, width, DIM)
        tl.store(
            logsumexp + head * n_tokens + start + queries, largest + tl.log(total),
            mask=queries < n,
        )  # fmt: skip


@triton.jit
def _slopes(  # type: ignore[no-untyped-def]  # noqa: ANN202
    q, k, v, d_output, output, logsumexp, seed, p, scale, head, start, queries, keys, n,  # noqa: ANN001
    n_tokens, max_length, window, HAS_DROPOUT: tl.constexpr,  # noqa: ANN001
):  # fmt: skip
    """The dropped weights ``(queries, keys)``, and the gradient of the scores before scaling."""
    is_pair = (queries < n)[:, None] & (keys < n)[None, :]
    is_pair = is_pair & (tl.abs(queries[:, None] - keys[None, :]) <= window)
    normalizer = tl.load(logsumexp + head * n_tokens + start + queries, mask=queries < n, other=0.0)
    scores = tl.dot(q, tl.trans(k)) * scale
    weights = tl.where(is_pair, tl.exp(scores - normalizer[:, None]), 0.0)
    d_weights = tl.dot(d_output, tl.trans(v))
    dropped = weights
    if HAS_DROPOUT:
        factors = _dropout_factors(seed, p, head, start + queries, keys, n_tokens, max_length)
        dropped = weights * factors
        d_weights = d_weights * factors
    along = tl.sum(output.to(tl.float32) * d_output.to(tl.float32), 1)
    return dropped, weights * (d_weights - along[:, None]) * scale


@_jit
def _attend_backward(  # type: ignore[no-untyped-def]  # noqa: ANN202
    qkv, offsets, output, logsumexp, d_output, d_qkv, seed, p, scale,  # noqa: ANN001
    n_tokens, n_heads, max_length, n_tiles, window,  # noqa: ANN001
    HAS_DROPOUT: tl.constexpr, DIM: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """Half of the programs give the gradient of a tile of queries, half of keys and values."""
    head, row = tl.program_id(1), tl.program_id(2)
    start = tl.load(offsets + row)
    n = tl.load(offsets + row + 1) - start
    tile = tl.program_id(0) % n_tiles
    width = n_heads * DIM
    ours = tile * TILE + tl.arange(0, TILE)
    queries_at, keys_at = qkv + head * DIM, qkv + width + head * DIM
    values_at, output_at = qkv + 2 * width + head * DIM, output + head * DIM
    d_output_at = d_output + head * DIM
    if tile * TILE < n:
        if tl.program_id(0) < n_tiles:
            q = _load(queries_at, start, ours, n, 3 * width, DIM)
            o = _load(output_at, start, ours, n, width, DIM)
            d_o = _load(d_output_at, start, ours, n, width, DIM)
            d_q = tl.zeros([TILE, DIM], tl.float32)
            for first in range(0, n, TILE):
                keys = first + tl.arange(0, TILE)
                k = _load(keys_at, start, keys, n, 3 * width, DIM)
                v = _load(values_at, start, keys, n, 3 * width, DIM)
                _, d_scores = _slopes(
                    q, k, v, d_o, o, logsumexp, seed, p, scale, head, start, ours, keys, n,
                    n_tokens, max_length, window, HAS_DROPOUT,
                )  # fmt: skip
                d_q += tl.dot(d_scores.to(k.dtype), k)
            _store(d_qkv + head * DIM, d_q, start, ours, n, 3 * width, DIM)
        else:
            k = _load(keys_at, start, ours, n, 3 * width, DIM)
            v = _load(values_at, start, ours, n, 3 * width, DIM)
            d_k = tl.zeros([TILE, DIM], tl.float32)
            d_v = tl.zeros([TILE, DIM], tl.float32)
            for first in range(0, n, TILE):
                queries = first + tl.arange(0, TILE)
                q = _load(queries_at, start, queries, n, 3 * width, DIM)
                o = _load(output_at, start, queries, n, width, DIM)
                d_o = _load(d_output_at, start, queries, n, width, DIM)
                dropped, d_scores = _slopes(
                    q, k, v, d_o, o, logsumexp, seed, p, scale, head, start, queries, ours, n,
                    n_tokens, max_length, window, HAS_DROPOUT,
                )  # fmt: skip
                d_v += tl.dot(tl.trans(dropped.to(d_o.dtype)), d_o)
                d_k += tl.dot(tl.trans(d_scores.to(q.dtype)), q)
            _store(d_qkv + width + head * DIM, d_k, start, ours, n, 3 * width, DIM)
            _store(d_qkv + 2 * width + head * DIM, d_v, start, ours, n, 3 * width, DIM)


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        qkv: torch.Tensor,
        offsets: torch.Tensor,
        n_heads: int,
        max_length: int,
        p: float,
        seed: torch.Tensor,
        window: int,
    ) -> torch.Tensor:
        n_tokens, width = len(qkv), qkv.shape[1] // 3
        output = qkv.new_empty(n_tokens, width)
        logsumexp = qkv.new_empty(n_heads, n_tokens, dtype=torch.float32)
        dim, n_tiles = width // n_heads, triton.cdiv(max_length, _TILE)
        _attend_forward[(n_tiles, n_heads, len(offsets) - 1)](
            qkv, offsets, output, logsumexp, seed, p, dim**-0.5, n_tokens, n_heads, max_length,
            window, HAS_DROPOUT=p > 0, DIM=dim, TILE=_TILE,
        )  # fmt: skip
        ctx.save_for_backward(qkv, offsets, output, logsumexp, seed)
        ctx.n_heads, ctx.max_length, ctx.p, ctx.window = n_heads, max_length, p, window
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_output: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        qkv, offsets, output, logsumexp, seed = ctx.saved_tensors
        dim, n_tiles = output.shape[1] // ctx.n_heads, triton.cdiv(ctx.max_length, _TILE)
        d_qkv = torch.empty_like(qkv)
        _attend_backward[(2 * n_tiles, ctx.n_heads, len(offsets) - 1)](
            qkv, offsets, output, logsumexp, d_output.contiguous(), d_qkv, seed, ctx.p,
            dim**-0.5, len(qkv), ctx.n_heads, ctx.max_length, n_tiles, ctx.window,
            HAS_DROPOUT=ctx.p > 0, DIM=dim, TILE=_TILE,
        )  # fmt: skip
        return d_qkv, None, None, None, None, None, None


def attend(
    qkv: torch.Tensor,
    offsets: torch.Tensor,
    n_heads: int,
    max_length: int,
    p: float,
    seed: torch.Tensor,
    window: int | None = None,
) -> torch.Tensor:
    """Attention of each token over its row, ``(tokens, heads * dim)``.

    Args:
        qkv: ``(tokens, 3 * heads * dim)`` in half precision; each token is in a row.
        offsets: int32 ``(rows + 1,)``.
        n_heads: how many heads; ``dim`` is a power of two.
        max_length: no row is longer.
        p: the probability of dropout; 0 where it is not active.
        seed: int64 ``(1,)`` on the device.
        window: tokens attend only to tokens at most so far away; None: to all of the row.
    """
    window = max_length if window is None else window
    output: torch.Tensor = _Attend.apply(qkv, offsets, n_heads, max_length, p, seed, window)
    return output


def try_all(device: torch.device) -> None:
    """Run the kernels once on a few numbers.

    Raises:
        Exception: what Triton raises where it cannot compile or run them.
    """
    qkv = torch.ones(2, 192, dtype=torch.float16, device=device, requires_grad=True)
    offsets = torch.tensor([0, 2], dtype=torch.int32, device=device)
    seed = torch.zeros(1, dtype=torch.int64, device=device)
    attend(qkv, offsets, 1, 2, 0.1, seed).sum().backward()
