"""BERT, RoBERTa, XLM-RoBERTa, CamemBERT, ELECTRA, MPNet and DistilBERT over packed tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from auxfold.data.packing import PackedTokens
from auxfold.model.fast.attention import attend, attend_fused, packed_attention_runs
from auxfold.model.fast.context import ForwardContext
from auxfold.model.fast.encoder import FastEncoder, dropout_of
from auxfold.model.fast.linear import FusedLinear
from auxfold.model.fast.regions import activate, add_norm, norm
from auxfold.model.pooling import AttentionPool

# Whether positions are counted from the padding index, and without the padding in a row.
_POSITIONS_AFTER_PADDING = ("roberta", "xlm-roberta", "camembert", "mpnet")


@dataclass(frozen=True)
class BertLayer:
    """The modules of one layer, which norms the sum of each sublayer and its residual.

    Attributes:
        qkv: the projections to queries, keys and values.
        attention_output: the projection of the attention's output.
        attention_norm: the layer norm after attention.
        up: the first layer of the feed-forward.
        activation: its activation.
        down: its second layer.
        output_norm: the layer norm after the feed-forward.
        dropouts: of the attention weights, of the output of attention and of the feed-forward.
    """

    qkv: FusedLinear
    attention_output: FusedLinear
    attention_norm: nn.Module
    up: FusedLinear
    activation: Callable[[torch.Tensor], torch.Tensor]
    down: FusedLinear
    output_norm: nn.Module
    dropouts: tuple[nn.Module, nn.Module, nn.Module]


class FastBert(FastEncoder):
    """The BERT family; see :class:`FastEncoder`."""

    def __init__(
        self, backbone: PreTrainedModel, pooling: str, pool: AttentionPool | None = None
    ) -> None:
        self.layers = list(_layers(backbone))
        project = getattr(backbone, "embeddings_project", None)  # ELECTRA with narrow embeddings
        self.project = None if project is None else FusedLinear(project)
        self.n_heads = backbone.config.num_attention_heads
        self.counts_from_padding = backbone.config.model_type in _POSITIONS_AFTER_PADDING
        super().__init__(backbone, pooling, pool)

    def linear_layers(self) -> list[FusedLinear]:
        """See :class:`FastEncoder`."""
        first = [] if self.project is None else [self.project]
        layers = ((x.qkv, x.attention_output, x.up, x.down) for x in self.layers)
        return [*first, *(linear for layer in layers for linear in layer)]

    @property
    def max_length_step(self) -> int:
        """See :class:`FastEncoder`."""
        config = self.backbone.config
        is_packed = config.model_type != "mpnet" and packed_attention_runs(
            self.backbone.device, torch.bfloat16, config.hidden_size // self.n_heads
        )
        return 0 if is_packed else 16

    def encode(self, context: ForwardContext) -> tuple[torch.Tensor, torch.Tensor]:
        """See :class:`FastEncoder`."""
        hidden, low = self._embed(context)
        bias = self._position_bias(context)
        for layer in self.layers[:-1]:
            hidden, low = self._run_layer(layer, hidden, low, context, bias, first_only=False)
        return self._run_layer(self.layers[-1], hidden, low, context, bias, self.first_only)

    def _embed(self, context: ForwardContext) -> tuple[torch.Tensor, torch.Tensor]:
        embeddings = self.backbone.embeddings
        total = sum_embeddings(embeddings, context.packed, self._position_ids(context))
        p = dropout_of(embeddings.dropout, context)
        hidden, low = norm(total, embeddings.LayerNorm, p, context.dtype)
        if self.project is not None:
            low = self.project(low)
            hidden = low.to(total.dtype)
        return hidden, low

    def _position_ids(self, context: ForwardContext) -> torch.Tensor:
        packed = context.packed
        if not self.counts_from_padding:
            last = self.backbone.embeddings.position_embeddings.num_embeddings - 1
            # Rows of filler may be longer than any row.
            return (
                packed.positions.clamp(max=last) if packed.max_length > last else packed.positions
            )
        # As in Hugging Face: only tokens that are not padding count, also within a text.
        padding = self.backbone.embeddings.padding_idx
        is_token = packed.input_ids.ne(padding).long()
        counts = is_token.cumsum(0)
        first = context.first_tokens
        before = counts.index_select(0, first) - is_token.index_select(0, first)
        return (counts - before.index_select(0, packed.rows)) * is_token + padding

    def _position_bias(self, context: ForwardContext) -> torch.Tensor | None:
        """MPNet's bias ``(heads, max_length, max_length)``, the same in all layers."""
        encoder = getattr(self.backbone, "encoder", None)
        if not hasattr(encoder, "relative_attention_bias"):
            return None
        assert encoder is not None
        places = torch.arange(context.packed.max_length, device=context.packed.rows.device)
        buckets = encoder.relative_position_bucket(places[None] - places[:, None])
        return encoder.relative_attention_bias(buckets).permute(2, 0, 1)

    def _run_layer(
        self,
        layer: BertLayer,
        hidden: torch.Tensor,
        low: torch.Tensor,
        context: ForwardContext,
        bias: torch.Tensor | None,
        first_only: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        attention_p = dropout_of(layer.dropouts[0], context)
        if first_only:
            key, value = self._heads(layer.qkv(low, 1), 2)
            hidden = hidden.index_select(0, context.first_tokens)
            low = low.index_select(0, context.first_tokens)
            (query,) = self._heads(layer.qkv(low, 0, 1), 1)
            attended = attend(query, key, value, context, attention_p, bias=bias).flatten(1)
        else:
            attended = attend_fused(layer.qkv(low), self.n_heads, context, attention_p, bias=bias)
        return after_attention(layer, attended, hidden, context)

    def _heads(self, projected: torch.Tensor, n: int) -> tuple[torch.Tensor, ...]:
        """``n`` times ``(tokens, heads, dim)`` of ``(tokens, n * heads * dim)``."""
        return projected.view(len(projected), n, self.n_heads, -1).unbind(1)


def sum_embeddings(
    embeddings: Any, packed: PackedTokens, position_ids: torch.Tensor
) -> torch.Tensor:
    """The sum ``(tokens, hidden)`` of the embeddings that there are, of words, types, positions."""
    total = _lookup(embeddings.word_embeddings, packed.input_ids)
    types, type_ids = getattr(embeddings, "token_type_embeddings", None), packed.token_type_ids
    if types is not None:
        total = total + (types.weight[0] if type_ids is None else _lookup(types, type_ids))
    if embeddings.position_embeddings is not None:
        total = total + _lookup(embeddings.position_embeddings, position_ids)
    return total


def after_attention(
    layer: BertLayer, attended: torch.Tensor, hidden: torch.Tensor, context: ForwardContext
) -> tuple[torch.Tensor, torch.Tensor]:
    """What follows attention in a layer: its projection, the feed-forward, and both layer norms.

    Args:
        layer: the modules.
        attended: ``(tokens, heads * dim)``, the output of attention.
        hidden: ``(tokens, hidden)``, the input of the layer.
        context: of this forward pass.

    Returns:
        The output of the layer, and the same in the number format of matrix products.
    """
    attended_p, output_p = (dropout_of(d, context) for d in layer.dropouts[1:])
    hidden, low = add_norm(
        layer.attention_output, attended, hidden, layer.attention_norm, attended_p, context
    )
    inner = activate(layer.up, low, layer.activation, context)
    return add_norm(layer.down, inner, hidden, layer.output_norm, output_p, context)


def _lookup(table: Any, ids: torch.Tensor) -> torch.Tensor:
    return F.embedding(ids, table.weight, table.padding_idx)


def _layers(backbone: Any) -> Iterator[BertLayer]:
    model_type = backbone.config.model_type
    if model_type == "distilbert":
        for layer in backbone.transformer.layer:
            attention, ffn = layer.attention, layer.ffn
            yield BertLayer(
                qkv=FusedLinear(attention.q_lin, attention.k_lin, attention.v_lin),
                attention_output=FusedLinear(attention.out_lin),
                attention_norm=layer.sa_layer_norm,
                up=FusedLinear(ffn.lin1),
                activation=ffn.activation,
                down=FusedLinear(ffn.lin2),
                output_norm=layer.output_layer_norm,
                dropouts=(attention.dropout, nn.Identity(), ffn.dropout),
            )
        return
    for layer in backbone.encoder.layer:
        attention = layer.attention
        if model_type == "mpnet":
            attn = attention.attn
            qkv, output = FusedLinear(attn.q, attn.k, attn.v), attn.o
            norm_after, dropouts = attention.LayerNorm, (attn.dropout, attention.dropout)
        else:
            attn = attention.self
            qkv, output = FusedLinear(attn.query, attn.key, attn.value), attention.output.dense
            norm_after = attention.output.LayerNorm
            dropouts = (attn.dropout, attention.output.dropout)
        yield BertLayer(
            qkv=qkv,
            attention_output=FusedLinear(output),
            attention_norm=norm_after,
            up=FusedLinear(layer.intermediate.dense),
            activation=layer.intermediate.intermediate_act_fn,
            down=FusedLinear(layer.output.dense),
            output_norm=layer.output.LayerNorm,
            dropouts=(*dropouts, layer.output.dropout),
        )
