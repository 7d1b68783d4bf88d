"""Prefix tuning: learned keys and values that every layer attends to beside its own.

As in Li and Liang 2021 without the second network (P-tuning v2, and peft's default): the keys and
values are the parameters. peft's own wrapper is not used because it moves the positions of all
tokens by the prefix's length, and because it does nothing, silently, to backbones that take no
past keys and values. Here each token keeps its position, and such backbones are refused.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import DynamicCache, PreTrainedModel

from auxfold.config import PrefixAdapter
from auxfold.errors import InputError

# Which backbones take past keys and values, and whether positions count from behind the padding's.
_COUNTS_FROM_PADDING = {
    "bert": False, "electra": False, "roberta": True, "xlm-roberta": True, "camembert": True,
}  # fmt: skip


class LayerPrefix(nn.Module):
    """The learned keys and values of one layer, each ``(prefix, hidden)``."""

    def __init__(self, length: int, hidden: int) -> None:
        super().__init__()
        self.key = nn.Parameter(torch.empty(length, hidden).normal_(std=0.02))
        self.value = nn.Parameter(torch.empty(length, hidden).normal_(std=0.02))


class Prefix(nn.Module):
    """One :class:`LayerPrefix` per layer of the backbone."""

    def __init__(self, length: int, backbone: PreTrainedModel) -> None:
        super().__init__()
        config = backbone.config
        self.length, self.heads = length, config.num_attention_heads
        self.layer = nn.ModuleList(
            [LayerPrefix(length, config.hidden_size) for _ in range(config.num_hidden_layers)]
        )

    def cache(self, rows: int) -> DynamicCache:
        """Keys and values ``(rows, heads, prefix, hidden / heads)`` of every layer."""
        made = DynamicCache()
        for number, layer in enumerate(self.layer):
            key, value = (
                states.view(1, self.length, self.heads, -1).transpose(1, 2).expand(rows, -1, -1, -1)
                for states in (layer.key, layer.value)
            )
            made.update(key, value, number)
        return made


def add_prefix(backbone: PreTrainedModel, settings: PrefixAdapter) -> None:
    """Give a backbone its ``prefix``.

    Raises:
        InputError: an architecture that takes no past keys and values.
    """
    architecture = backbone.config.model_type
    if architecture not in _COUNTS_FROM_PADDING:
        raise InputError(
            f"model.adapter.kind = 'prefix' needs a backbone that takes past keys and values: "
            f"{', '.join(_COUNTS_FROM_PADDING)}; this one is {architecture!r}"
        )
    backbone.prefix = Prefix(settings.prefix_length, backbone).to(backbone.device)
    backbone.register_forward_pre_hook(_with_prefix, with_kwargs=True)


def _with_prefix(
    backbone: PreTrainedModel, positional: tuple[Any, ...], given: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What the backbone is called with, and the prefix in front of it."""
    ids, mask = given["input_ids"], given["attention_mask"]
    seen = mask.new_ones(len(ids), backbone.prefix.length)
    return positional, {
        **given,
        "attention_mask": torch.cat([seen, mask], dim=1),
        "past_key_values": backbone.prefix.cache(len(ids)),
        "position_ids": _positions(backbone, ids),
    }


def _positions(backbone: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
    """The positions ``(rows, tokens)`` that tokens have without a prefix."""
    if _COUNTS_FROM_PADDING[backbone.config.model_type]:
        padding = backbone.config.pad_token_id
        real = ids.ne(padding).long()
        return real.cumsum(dim=1) * real + padding
    return torch.arange(ids.shape[1], device=ids.device).expand(ids.shape)
