"""ModernBERT over packed tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F
from transformers import PreTrainedModel

from auxfold.model.fast.attention import attend, attend_fused, packed_attention_runs
from auxfold.model.fast.context import ForwardContext
from auxfold.model.fast.encoder import FastEncoder, dropout_of
from auxfold.model.fast.linear import FusedLinear
from auxfold.model.fast.regions import add_before_norm, add_norm, gated, norm, rotate
from auxfold.model.pooling import AttentionPool

# Cosines and sines ``(tokens, dim)`` of the rotary positions.
Angles = tuple[torch.Tensor, torch.Tensor]


class ModernBertLayer:
    """The linear layers of one layer; the rest is read from its module.

    Args:
        module: the layer of Hugging Face.
    """

    def __init__(self, module: Any) -> None:
        self.module = module
        self.qkv = FusedLinear(module.attn.Wqkv)
        self.attention_output = FusedLinear(module.attn.Wo)
        self.up = FusedLinear(module.mlp.Wi)
        self.down = FusedLinear(module.mlp.Wo)


class FastModernBert(FastEncoder):
    """ModernBERT: norms before the sublayers, rotary positions, local and global attention."""

    def __init__(
        self, backbone: PreTrainedModel, pooling: str, pool: AttentionPool | None = None
    ) -> None:
        modules: Any = backbone.layers
        self.layers = [ModernBertLayer(module) for module in modules]
        self.n_heads = backbone.config.num_attention_heads
        super().__init__(backbone, pooling, pool)

    @classmethod
    def supports(cls, backbone: PreTrainedModel) -> bool:
        """See :class:`FastEncoder`. Rotary positions that depend on the longest row are not."""
        types = set(backbone.config.layer_types)
        parameters = (backbone.config.rope_parameters[layer_type] for layer_type in types)
        return all(settings["rope_type"] == "default" for settings in parameters)

    def linear_layers(self) -> list[FusedLinear]:
        """See :class:`FastEncoder`."""
        layers = ((x.qkv, x.attention_output, x.up, x.down) for x in self.layers)
        return [linear for layer in layers for linear in layer]

    @property
    def max_length_step(self) -> int:
        """See :class:`FastEncoder`."""
        head_dim = self.backbone.config.hidden_size // self.n_heads
        is_packed = packed_attention_runs(self.backbone.device, torch.bfloat16, head_dim)
        return 0 if is_packed else 16

    def encode(self, context: ForwardContext) -> tuple[torch.Tensor, torch.Tensor]:
        """See :class:`FastEncoder`."""
        embeddings = self.backbone.embeddings
        table = embeddings.tok_embeddings
        total = F.embedding(context.packed.input_ids, table.weight, table.padding_idx)
        p = dropout_of(embeddings.drop, context)
        hidden, low = norm(total, embeddings.norm, p, context.dtype)
        angles = self._angles(hidden, context)
        previous: tuple[FusedLinear, torch.Tensor] | None = None
        for layer in self.layers:
            if previous is not None:  # the first layer has no norm before attention
                attn_norm = layer.module.attn_norm
                hidden, low = add_before_norm(*previous, hidden, attn_norm, 0.0, context)
            first_only = self.first_only and layer is self.layers[-1]
            layer_angles = angles[layer.module.attention_type]
            attended = self._attend(layer, low, layer_angles, context, first_only)
            if first_only:
                hidden = hidden.index_select(0, context.first_tokens)
            p = dropout_of(layer.module.attn.out_drop, context)
            hidden, low = add_before_norm(
                layer.attention_output, attended, hidden, layer.module.mlp_norm, p, context
            )
            previous = layer.down, self._gated(layer, low, context)
        assert previous is not None
        return add_norm(*previous, hidden, self.backbone.final_norm, 0.0, context)

    def _angles(self, hidden: torch.Tensor, context: ForwardContext) -> dict[str, Angles]:
        positions = context.packed.positions[None]
        angles = {}
        for layer_type in sorted(set(self.backbone.config.layer_types)):
            cos, sin = self.backbone.rotary_emb(hidden, positions, layer_type)
            angles[layer_type] = (cos[0], sin[0])
        return angles

    def _attend(
        self,
        layer: ModernBertLayer,
        low: torch.Tensor,
        angles: Angles,
        context: ForwardContext,
        first_only: bool,
    ) -> torch.Tensor:
        """What the output projection of attention reads."""
        attn = layer.module.attn
        qkv = rotate(layer.qkv(low), *angles, self.n_heads, context)
        p = attn.attention_dropout if context.training else 0.0
        is_local = attn.sliding_window is not None
        window = self.backbone.config.sliding_window if is_local else None
        if not first_only:
            return attend_fused(qkv, self.n_heads, context, p, window=window)
        query, key, value = qkv.view(len(qkv), 3, self.n_heads, -1).unbind(1)
        query = query.index_select(0, context.first_tokens)
        return attend(query, key, value, context, p, window=window).flatten(1)

    def _gated(
        self, layer: ModernBertLayer, low: torch.Tensor, context: ForwardContext
    ) -> torch.Tensor:
        """What the second layer of the feed-forward reads."""
        mlp = layer.module.mlp
        return gated(layer.up(low), mlp.act, dropout_of(mlp.drop, context), context)
