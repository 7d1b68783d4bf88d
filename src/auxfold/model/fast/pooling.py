"""Pooling of packed hidden states ``(tokens, hidden)`` to one vector per row."""

from __future__ import annotations

import torch

from auxfold.model.fast.context import ForwardContext
from auxfold.model.fast.linear import FusedLinear


def sum_rows(x: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """The sum over the tokens of each row, ``(rows, …)``; zero for an empty row.

    Sums in the order of the tokens, so that the result does not depend on the other rows.
    """
    # unsafe: no check of the offsets' values, for which the host would wait.
    return torch.segment_reduce(x, "sum", offsets=offsets, axis=0, unsafe=True, initial=0)


def last_tokens(hidden: torch.Tensor, context: ForwardContext) -> torch.Tensor:
    """The last token of each row, fp32 ``(rows, hidden)``; any token for an empty row."""
    return hidden[context.packed.offsets[1:] - 1].float()


def mean_tokens(hidden: torch.Tensor, context: ForwardContext) -> torch.Tensor:
    """The mean over the tokens of each row, fp32 ``(rows, hidden)``."""
    lengths = context.lengths.clamp(min=1)[:, None]
    return sum_rows(hidden.float(), context.packed.offsets) / lengths


def attend_tokens(
    hidden: torch.Tensor,
    low: torch.Tensor,
    project: FusedLinear,
    score: FusedLinear,
    context: ForwardContext,
) -> torch.Tensor:
    """The learned average of :class:`auxfold.model.pooling.AttentionPool`, fp32 ``(rows, hidden)``.

    Args:
        hidden: ``(tokens, hidden)``.
        low: the same in the number format of matrix products.
        project: the first layer of the pooling.
        score: its second layer.
        context: of this forward pass.
    """
    offsets, rows = context.packed.offsets, context.packed.rows
    scores = score(torch.tanh(project(low))).squeeze(1).float()
    # The softmax does not depend on what is subtracted: the largest score of each row.
    largest = torch.segment_reduce(
        scores.detach(), "max", offsets=offsets, axis=0, unsafe=True, initial=-torch.inf
    )
    weights = (scores - largest.index_select(0, rows)).exp()
    total = sum_rows(weights, offsets).clamp(min=1.0)  # the largest score alone has weight 1
    return sum_rows(weights[:, None] * hidden.float(), offsets) / total[:, None]
