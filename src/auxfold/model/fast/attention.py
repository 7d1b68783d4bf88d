"""Attention within each row of packed tokens."""

from __future__ import annotations

from functools import cache

import torch
from torch.nn import functional as F

from auxfold.model.fast.blocks import from_block, to_block
from auxfold.model.fast.context import ForwardContext
from auxfold.model.fast.kernels import load_kernels

# The largest width of a head that flash attention has kernels for.
_MAX_HEAD_DIM = 256
# Where no row is longer, the kernels for short rows run instead of flash attention (heads up to 64
# wide: wider tiles need more shared memory than some cards have).
SHORT_ROW = 256


def attend_fused(
    qkv: torch.Tensor,
    n_heads: int,
    context: ForwardContext,
    dropout: float,
    *,
    window: int | None = None,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """Attention from queries, keys and values in one tensor; else as :func:`attend`.

    Args:
        qkv: ``(tokens, 3 * heads * dim)``.
        n_heads: how many heads.
        context: of this forward pass.
        dropout: as in :func:`attend`.
        window: as in :func:`attend`.
        bias: as in :func:`attend`.

    Returns:
        ``(tokens, heads * dim)``.
    """
    packed, dim = context.packed, qkv.shape[1] // (3 * n_heads)
    is_short = bias is None and packed.max_length <= SHORT_ROW and dim in (16, 32, 64)
    if is_short and packed_attention_runs(qkv.device, qkv.dtype, dim):
        kernels = load_kernels("attention_kernels", qkv.device)
        if kernels is not None:
            seed = context.next_seed() if dropout > 0 else packed.rows
            return kernels.attend(
                qkv, packed.offsets, n_heads, packed.max_length, dropout, seed, window
            )
    query, key, value = qkv.view(len(qkv), 3, n_heads, dim).unbind(1)
    attended = attend(query, key, value, context, dropout, window=window, bias=bias)
    return attended.flatten(1)


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    context: ForwardContext,
    dropout: float,
    *,
    window: int | None = None,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """Softmax attention of each query over the tokens of its row, scaled by ``dim ** -0.5``.

    On a GPU with half precision this is flash attention on the packed tokens. Everywhere else, and
    with a bias, queries, keys and values are moved into padded blocks and back.

    Args:
        query: ``(tokens, heads, dim)``, or ``(rows, heads, dim)``: one query per row, its first.
        key: ``(tokens, heads, dim)``.
        value: ``(tokens, heads, dim)``.
        context: of this forward pass.
        dropout: the probability with which an attention weight is dropped; 0 where inactive.
        window: tokens attend only to tokens at most so far away; None: to all of the row.
        bias: ``(heads, max_length, max_length)``, which is added to the scores, or None.

    Returns:
        ``(tokens, heads, dim)`` or ``(rows, heads, dim)``, as the queries.
    """
    if window is not None and window >= context.packed.max_length - 1:
        window = None
    # Flash attention counts the window of a row's only query from its last key.
    is_first_in_window = window is not None and len(query) != len(key)
    if bias is None and not is_first_in_window and can_attend_packed(query):
        return _attend_packed(query, key, value, context, dropout, window)
    return _attend_padded(query, key, value, context, dropout, window, bias)


def can_attend_packed(query: torch.Tensor) -> bool:
    """Whether flash attention takes such queries ``(tokens, heads, dim)`` without padding."""
    return packed_attention_runs(query.device, query.dtype, query.shape[-1])


def packed_attention_runs(device: torch.device, dtype: torch.dtype, head_dim: int) -> bool:
    """Whether the packed kernel of flash attention runs on a device and in a number format."""
    is_half = dtype in (torch.bfloat16, torch.float16)
    return (
        device.type == "cuda"
        and is_half
        and head_dim <= _MAX_HEAD_DIM
        and head_dim % 8 == 0
        and _has_flash(device)
    )


@cache
def _has_flash(device: torch.device) -> bool:
    if torch.version.hip is not None or torch.cuda.get_device_capability(device) < (8, 0):
        return False
    # torch may be built without it.
    return torch.backends.cuda.is_flash_attention_available()


def _attend_packed(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    context: ForwardContext,
    dropout: float,
    window: int | None,
) -> torch.Tensor:
    packed = context.packed
    is_first_only = len(query) != len(key)
    windows = {} if window is None else {"window_size_left": window, "window_size_right": window}
    # The operator behind torch.nn.attention.varlen, which itself has no dropout.
    return torch.ops.aten._flash_attention_forward(
        query,
        key,
        value,
        context.row_numbers if is_first_only else packed.offsets,
        packed.offsets,
        1 if is_first_only else packed.max_length,
        packed.max_length,
        dropout,
        False,
        False,
        **windows,
    )[0]


def _attend_padded(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    context: ForwardContext,
    dropout: float,
    window: int | None,
    bias: torch.Tensor | None,
) -> torch.Tensor:
    is_first_only = len(query) != len(key)
    n_rows, length = context.packed.n_rows, context.packed.max_length
    index = context.padded_index

    def pad(x: torch.Tensor) -> torch.Tensor:
        """``(rows, heads, length, dim)`` of ``(tokens, heads, dim)``."""
        return to_block(x, index, n_rows * length).unflatten(0, (n_rows, length)).transpose(1, 2)

    queries = query[:, :, None] if is_first_only else pad(query)
    mask = _mask(context, window, 1 if is_first_only else length)
    if bias is not None:
        bias = bias[:, :1] if is_first_only else bias
        mask = torch.where(mask, bias.to(query.dtype), -torch.inf)
    output = _padded_attention(queries, pad(key), pad(value), mask, dropout, context)
    if is_first_only:
        return output.squeeze(2)
    return from_block(output.transpose(1, 2).flatten(0, 1), index)


def _mask(context: ForwardContext, window: int | None, n_queries: int) -> torch.Tensor:
    """Bool ``(rows, 1, queries or 1, max_length)``: which keys a query attends to."""
    if window is None:
        return context.key_mask
    keys = torch.arange(context.packed.max_length, device=context.lengths.device)
    distances = (keys[:n_queries, None] - keys).abs()
    # Where only padding is near, a query attends to itself: a softmax over nothing is not a number.
    return context.key_mask & (distances <= window) | (distances == 0)


def _padded_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor,
    dropout: float,
    context: ForwardContext,
) -> torch.Tensor:
    """Attention of ``(rows, heads, queries, dim)`` over keys ``(rows, heads, max_length, dim)``.

    Args:
        query: the queries.
        key: the keys.
        value: the values.
        mask: bool, false for the keys to leave out, or what is added to the scores.
        dropout: as in :func:`attend`.
        context: of this forward pass.
    """
    if not context.eager_attention:
        return F.scaled_dot_product_attention(query, key, value, mask, dropout)
    scores = torch.matmul(query, key.transpose(2, 3)) * query.shape[-1] ** -0.5
    scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    weights = F.dropout(scores.softmax(-1, dtype=torch.float32).to(query.dtype), dropout)
    return torch.matmul(weights, value)
