"""Pooling of hidden states ``(rows, tokens, hidden)`` to one vector per row, without padding."""

from __future__ import annotations

import torch
from torch import nn
from transformers import PreTrainedModel

from auxfold.errors import InputError


def mean_pool(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean over the tokens that are not padding, summed in fp32.

    Args:
        hidden: ``(rows, tokens, hidden)``.
        mask: ``(rows, tokens)``, 0 where padded.

    Returns:
        float32 ``(rows, hidden)``.
    """
    weights = mask.unsqueeze(-1).to(torch.float32)
    return (hidden.float() * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)


def last_pool(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The last token that is not padding, on whichever side that is.

    Args:
        hidden: ``(rows, tokens, hidden)``.
        mask: ``(rows, tokens)``, 0 where padded.

    Returns:
        float32 ``(rows, hidden)``.
    """
    positions = torch.arange(mask.shape[1], device=mask.device)
    last = ((mask != 0) * positions).argmax(dim=1)
    return hidden[torch.arange(len(hidden), device=hidden.device), last].float()


class AttentionPool(nn.Module):
    """A learned softmax over the tokens: two linear layers with tanh between them."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.project = nn.Linear(hidden_size, hidden_size)
        self.score = nn.Linear(hidden_size, 1)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Float32 ``(rows, hidden)``; the weight of padding is exactly zero."""
        scores = self.score(torch.tanh(self.project(hidden))).squeeze(-1).float()
        weights = scores.masked_fill(mask == 0, float("-inf")).softmax(dim=1)
        return torch.einsum("rt,rth->rh", weights, hidden.float())


def check_pooler(backbone: PreTrainedModel, pooling: str) -> None:
    """Refuse a missing pooler where it is used, and remove it where it is not.

    Raises:
        InputError: ``pooling`` is ``pooler`` and the backbone has none.
    """
    pooler = getattr(backbone, "pooler", None)
    if pooling == "pooler":
        if pooler is None:
            raise InputError(
                f"model.pooling = 'pooler': {backbone.config.model_type} has no pooler"
            )
    elif pooler is not None:
        # It would be stored without ever being trained.
        backbone.pooler = None  # type: ignore[assignment]
