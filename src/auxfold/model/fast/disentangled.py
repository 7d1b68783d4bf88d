"""DeBERTa's disentangled attention, in blocks of rows that are padded to one length."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

from auxfold.model.fast.kernels import load_kernels

# The only fused kernel that gives the gradient of a bias is "efficient".
_BACKENDS = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


class RelativePositions(NamedTuple):
    """The rows of the table of relative positions that the distances within a block read.

    They depend only on the length of the block. Distances of near tokens have a row each, longer
    distances share rows on a logarithmic scale.

    Attributes:
        start: the first row that is read.
        stop: the row after the last one that is read.
        ascending: ``(2 * length,)`` int64, the rows, counted from ``start``, of the distances
            ``1 - length`` to ``length - 1``, and one number that is not used.
        descending: the same for the distances ``length - 1`` to ``1 - length``.
    """

    start: int
    stop: int
    ascending: torch.Tensor
    descending: torch.Tensor


def relative_positions(
    length: int, buckets: int, max_distance: int, device: torch.device
) -> RelativePositions:
    """The rows of the table of relative positions for a block of this length.

    Args:
        length: the number of tokens to which the rows of the block are padded.
        buckets: ``position_buckets`` of the configuration; 0 or less: a row per distance.
        max_distance: the largest distance that has a row of its own or in a bucket.
        device: that of the model. The logarithms are computed there, as in transformers, because
            their rounding decides to which bucket a distance at the edge belongs.
    """
    # The copies of the last distance make their number even, for aligned matrix products.
    distances = torch.arange(1 - length, length + 1, device=device).clamp(max=length - 1)
    span = max_distance
    if buckets > 0:
        span = buckets
        distances = make_log_bucket_position(distances, buckets, max_distance).to(torch.long)
    rows = (distances + span).clamp(0, 2 * span - 1)
    start, stop = int(rows[0]), int(rows[-1]) + 1
    descending = torch.cat([rows[:-1].flip(0), rows[:1]])
    return RelativePositions(start, stop, rows - start, descending - start)


def look_up(table: torch.Tensor, lookup: torch.Tensor, is_looked_up: torch.Tensor) -> torch.Tensor:
    """The rows of a projected table, ``(positions, width)``.

    Args:
        table: ``(table rows, width)``.
        lookup: ``(positions,)`` int64, the row of each position.
        is_looked_up: ``(table rows, positions)`` in the dtype of the table, 1 for the row of a
            position and else 0: the gradient is one matrix product, faster than that of an
            embedding, and the distances of a bucket are added up in fp32.
    """
    rows: torch.Tensor = _LookUp.apply(table, lookup, is_looked_up)
    return rows


class _LookUp(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, table: torch.Tensor, lookup: torch.Tensor, is_looked_up: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(is_looked_up)
        return table.index_select(0, lookup)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return torch.mm(ctx.saved_tensors[0], grad), None, None


class PositionVectors(NamedTuple):
    """Projected relative positions, ``(2 * length, heads, dim)``.

    Attributes:
        queries: the factors of the tokens' keys, by ascending distance of the query to the key;
            None without ``p2c``.
        keys: the factors of the tokens' queries, by descending distance; None without ``c2p``.
    """

    queries: torch.Tensor | None
    keys: torch.Tensor | None


def attend_disentangled(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    positions: PositionVectors,
    mask: torch.Tensor,
    scale: float,
    dropout: float,
) -> torch.Tensor:
    """Attention of each token of a block, ``(rows, length, heads, dim)``.

    Args:
        query: ``(rows, length, heads, dim)``.
        key: ``(rows, length, heads, dim)``.
        value: ``(rows, length, heads, dim)``.
        positions: the relative positions; at least one of the two.
        mask: ``(rows, length, length)``, minus infinity for the keys that a query must not attend
            to and 0 for the others, of which each query has one.
        scale: the factor of all scores.
        dropout: the probability with which an attention weight is dropped.
    """
    c2p = p2c = None
    # One product per head for all rows, so that the gradients of positions are summed within it.
    if positions.keys is not None:
        c2p = torch.bmm(_by_head(query), positions.keys.permute(1, 2, 0))
    if positions.queries is not None:
        p2c = torch.bmm(_by_head(key), positions.queries.permute(1, 2, 0))
    bias: torch.Tensor = _PositionBias.apply(c2p, p2c, mask, scale)
    return _attend(query, key, value, bias, scale, dropout)


def attend_from_first_tokens(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    positions: PositionVectors,
    key_mask: torch.Tensor,
    scale: float,
    dropout: float,
) -> torch.Tensor:
    """Attention of the first token of each row of a block, ``(rows, heads, dim)``.

    Args:
        query: ``(rows, heads, dim)``.
        key: ``(rows, length, heads, dim)``.
        value: ``(rows, length, heads, dim)``.
        positions: the relative positions; at least one of the two.
        key_mask: ``(rows, length)``, 0 for the keys of a row, of which it has one, and else minus
            infinity.
        scale: the factor of all scores.
        dropout: the probability with which an attention weight is dropped.
    """
    length = key.shape[1]
    scores: list[torch.Tensor] = []
    # The distance of the first token to token j is -j.
    if positions.keys is not None:
        position_keys = positions.keys[length - 1 : 2 * length - 1]
        c2p = torch.bmm(query.transpose(0, 1), position_keys.permute(1, 2, 0))
        scores.append(c2p.transpose(0, 1))
    if positions.queries is not None:
        position_queries = positions.queries[:length].flip(0)
        scores.append((key * position_queries).sum(-1).transpose(1, 2))
    bias = torch.add(key_mask[:, None], sum(scores), alpha=scale).contiguous()[:, :, None]
    return _attend(query[:, None], key, value, bias, scale, dropout).squeeze(1)


def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: torch.Tensor,
    scale: float,
    dropout: float,
) -> torch.Tensor:
    """Attention with a bias ``(rows, heads, queries, keys)``."""
    query, key, value = (x.transpose(1, 2) for x in (query, key, value))
    with sdpa_kernel(_BACKENDS):
        attended = F.scaled_dot_product_attention(
            query, key, value, attn_mask=bias, dropout_p=dropout, scale=scale
        )
    return attended.transpose(1, 2)


def _by_head(x: torch.Tensor) -> torch.Tensor:
    """``(rows, length, heads, dim)`` as ``(heads, rows * length, dim)``."""
    return x.flatten(0, 1).transpose(0, 1)


class _PositionBias(torch.autograd.Function):
    """The mask plus the scaled scores of positions, ``(rows, heads, queries, keys)``.

    The scores come as ``(heads, rows * length, 2 * length)``: for each query (``c2p``) or key
    (``p2c``) by distance, in the order in which the next query or key starts one distance later.
    With a row stride that is smaller by one they are scores by key or query, so that there is
    nothing to gather, nor to add up in the backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any,
        c2p: torch.Tensor | None,
        p2c: torch.Tensor | None,
        mask: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        ctx.has_scores, ctx.scale = (c2p is not None, p2c is not None), scale
        if (kernels := load_kernels("position_kernels", mask.device)) is not None:
            return kernels.add_scores(c2p, p2c, mask, scale)
        n_rows, length, _ = mask.shape
        views = []
        if c2p is not None:
            views.append(_by_distance_to_key(c2p, n_rows, length))
        if p2c is not None:
            views.append(_by_distance_to_key(p2c, n_rows, length).transpose(2, 3))
        # Where the heads vary slowest, as in the scores.
        bias = views[0].new_empty(views[0].shape[1], n_rows, length, length).transpose(0, 1)
        if len(views) == 2:
            torch.add(*views, out=bias)
        else:
            bias.copy_(views[0])
        return torch.add(mask[:, None], bias, alpha=scale, out=bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        if (kernels := load_kernels("position_kernels", grad.device)) is not None:
            return *kernels.divide_gradient(grad, ctx.scale, *ctx.has_scores), None, None
        n_rows, heads, length, _ = grad.shape
        grads: list[torch.Tensor | None] = []
        for has_scores, by_row in zip(ctx.has_scores, (grad, grad.transpose(2, 3)), strict=True):
            scores = None
            if has_scores:
                scores = grad.new_zeros(heads, n_rows * length, 2 * length)
                view = _by_distance_to_key(scores, n_rows, length)
                torch.mul(by_row, ctx.scale, out=view)
            grads.append(scores)
        return *grads, None, None


def _by_distance_to_key(scores: torch.Tensor, n_rows: int, length: int) -> torch.Tensor:
    """``(heads, rows * length, 2 * length)`` as ``(rows, heads, length, length)``, a view."""
    heads, _, width = scores.shape
    strides = (length * width, n_rows * length * width, width - 1, 1)
    return scores.as_strided((n_rows, heads, length, length), strides, length - 1)
