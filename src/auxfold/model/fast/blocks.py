"""Move packed tokens into blocks with padding, and back."""

from __future__ import annotations

import torch


def to_block(x: torch.Tensor, index: torch.Tensor, n_rows: int) -> torch.Tensor:
    """Rows of zeros ``(n_rows, …)``, of which those at ``index`` are the rows of ``x``.

    Args:
        x: ``(tokens, …)``.
        index: ``(tokens,)`` int64, no number twice.
        n_rows: how many rows.
    """
    block: torch.Tensor = _ToBlock.apply(x, index, n_rows)
    return block


def from_block(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """The rows of ``x`` at ``index`` ``(tokens,)``, in which no number is twice."""
    rows: torch.Tensor = _FromBlock.apply(x, index)
    return rows


class _ToBlock(torch.autograd.Function):
    """Rows of zeros, some of which get the rows of ``x``."""

    @staticmethod
    def forward(ctx, x, index, n_rows):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN205
        ctx.save_for_backward(index)
        return x.new_zeros(n_rows, *x.shape[1:]).index_copy_(0, index, x)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN205
        return grad.index_select(0, ctx.saved_tensors[0]), None, None


class _FromBlock(torch.autograd.Function):
    """Some rows of ``x``, each at most once, so that the gradient needs no addition."""

    @staticmethod
    def forward(ctx, x, index):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN205
        ctx.save_for_backward(index)
        ctx.n_rows = len(x)
        return x.index_select(0, index)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN205
        grad_x = grad.new_zeros(ctx.n_rows, *grad.shape[1:])
        return grad_x.index_copy_(0, ctx.saved_tensors[0], grad), None
