"""Prefix tuning: every layer also attends to learned keys and values.

This is Li and Liang 2021 without the reparametrization network (as in P-tuning v2, and by default
in peft), so that the keys and values are the parameters. The wrapper of peft is not used, because
it shifts the positions of all tokens by the length of the prefix, and because it silently does
nothing to backbones that take no past keys and values. Here each token keeps its position, and such
backbones are refused.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import DynamicCache, PreTrainedModel

from auxfold.config import PrefixAdapter
from auxfold.errors import InputError

# The backbones that take past keys and values, and whether their positions start after the padding
# index.
_POSITIONS_AFTER_PADDING = {
    "bert": False, "electra": False, "roberta": True, "xlm-roberta": True, "camembert": True,
}  # fmt: skip


class LayerPrefix(nn.Module):
    """The learned keys and values of one layer, each ``(length, hidden)``."""

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
        """Keys and values ``(rows, heads, length, hidden / heads)`` of every layer."""
        cache = DynamicCache()
        for index, layer in enumerate(self.layer):
            assert isinstance(layer, LayerPrefix)
            key, value = (
                states.view(1, self.length, self.heads, -1).transpose(1, 2).expand(rows, -1, -1, -1)
                for states in (layer.key, layer.value)
            )
            cache.update(key, value, index)
        return cache


def add_prefix(backbone: PreTrainedModel, settings: PrefixAdapter) -> None:
    """Add a ``prefix`` to a backbone, in place.

    Raises:
        InputError: the architecture takes no past keys and values.
    """
    architecture = backbone.config.model_type
    if architecture not in _POSITIONS_AFTER_PADDING:
        raise InputError(
            f"model.adapter.kind = 'prefix' needs a backbone that takes past keys and values: "
            f"{', '.join(_POSITIONS_AFTER_PADDING)}; this one is {architecture!r}"
        )
    backbone.prefix = Prefix(settings.prefix_length, backbone).to(backbone.device)
    backbone.register_forward_pre_hook(_prepend_prefix, with_kwargs=True)


def _prepend_prefix(
    backbone: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of the backbone, with the prefix before the tokens."""
    tokens = kwargs.get("input_ids")
    tokens = kwargs["inputs_embeds"] if tokens is None else tokens
    rows, length = tokens.shape[:2]
    mask = kwargs.get("attention_mask")
    mask = tokens.new_ones(rows, length, dtype=torch.long) if mask is None else mask
    positions = kwargs.get("position_ids")
    return args, {
        **kwargs,
        "attention_mask": torch.cat([mask.new_ones(rows, backbone.prefix.length), mask], dim=1),
        "past_key_values": backbone.prefix.cache(rows),
        "position_ids": _position_ids(backbone, tokens) if positions is None else positions,
    }


def _position_ids(backbone: PreTrainedModel, tokens: torch.Tensor) -> torch.Tensor:
    """The positions ``(rows, tokens)`` that ids or embeddings have without a prefix."""
    rows, length = tokens.shape[:2]
    positions = torch.arange(length, device=tokens.device).expand(rows, length)
    if _POSITIONS_AFTER_PADDING[backbone.config.model_type]:
        padding = backbone.config.pad_token_id
        if tokens.is_floating_point():  # embeddings do not show which of them are padding
            return positions + padding + 1
        is_token = tokens.ne(padding).long()
        return is_token.cumsum(dim=1) * is_token + padding
    return positions
