"""DeBERTa-v2 and DeBERTa-v3 over packed tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from auxfold.model.fast.attention import attend
from auxfold.model.fast.bert import BertLayer, after_attention, sum_embeddings
from auxfold.model.fast.blocks import from_block, to_block
from auxfold.model.fast.context import ForwardContext
from auxfold.model.fast.disentangled import (
    PositionVectors,
    RelativePositions,
    attend_disentangled,
    attend_from_first_tokens,
    relative_positions,
)
from auxfold.model.fast.encoder import FastEncoder, dropout_of
from auxfold.model.fast.linear import FusedLinear
from auxfold.model.fast.regions import norm
from auxfold.model.pooling import AttentionPool

# Kernels for attention with a bias need an aligned one.
_LENGTH_STEP = 16


@dataclass(frozen=True)
class DebertaLayer(BertLayer):
    """The modules of one layer.

    Attributes:
        position_projection: the projections of relative positions to queries (``p2c``) and keys
            (``c2p``), those that there are; None: those of the tokens.
        position_dropout: the dropout of relative positions.
    """

    position_projection: FusedLinear | None
    position_dropout: nn.Module


class _Block(NamedTuple):
    """The block of padded rows in which all layers of one forward pass attend.

    Attributes:
        n_rows: its rows.
        length: the number of tokens to which they are padded.
        index: ``(tokens,)`` int64, where each token is among the ``n_rows * length``.
        key_mask: ``(n_rows, length)``, 0 for tokens and minus infinity for padding.
        table: ``(table rows, hidden)``, the relative positions that occur.
        lookup: ``(types * 2 * length,)`` int64, the rows of a layer's projected table, whose rows
            hold the types one after the other.
    """

    n_rows: int
    length: int
    index: torch.Tensor
    key_mask: torch.Tensor
    table: torch.Tensor
    lookup: torch.Tensor


class FastDeberta(FastEncoder):
    """DeBERTa-v2 and DeBERTa-v3; see :class:`FastEncoder`."""

    def __init__(
        self, backbone: PreTrainedModel, pooling: str, pool: AttentionPool | None = None
    ) -> None:
        module: Any = backbone
        self.attention_types = _attention_types(module)
        self.layers = [_layer(layer, self.attention_types) for layer in module.encoder.layer]
        attention = module.encoder.layer[0].attention.self
        self.n_heads, head_dim = attention.num_attention_heads, attention.attention_head_size
        self.scale = (head_dim * (1 + len(self.attention_types))) ** -0.5
        project = module.embeddings.embed_proj
        self.project = None if project is None else FusedLinear(project)
        self._positions: dict[tuple[int, torch.device], tuple[RelativePositions, torch.Tensor]] = {}
        super().__init__(backbone, pooling, pool)

    @classmethod
    def supports(cls, backbone: PreTrainedModel) -> bool:
        """See :class:`FastEncoder`. The convolution of DeBERTa-v2 XLarge is not supported."""
        module: Any = backbone
        has_scale_only = not module.encoder.relative_attention and _attention_types(module)
        return module.encoder.conv is None and module.z_steps <= 1 and not has_scale_only

    def linear_layers(self) -> list[FusedLinear]:
        """See :class:`FastEncoder`."""
        layers = [] if self.project is None else [self.project]
        for layer in self.layers:
            layers.append(layer.qkv)
            if layer.position_projection is not None:
                layers.append(layer.position_projection)
            layers += [layer.attention_output, layer.up, layer.down]
        return layers

    def encode(self, context: ForwardContext) -> tuple[torch.Tensor, torch.Tensor]:
        """See :class:`FastEncoder`."""
        hidden, low = self._embed(context)
        block = self._block(context) if self.attention_types else None
        for layer in self.layers[:-1]:
            hidden, low = self._run_layer(layer, hidden, low, context, block, first_only=False)
        return self._run_layer(self.layers[-1], hidden, low, context, block, self.first_only)

    def _embed(self, context: ForwardContext) -> tuple[torch.Tensor, torch.Tensor]:
        embeddings = self.backbone.embeddings
        total = sum_embeddings(embeddings, context.packed, context.packed.positions)
        if self.project is not None:
            total = self.project(total.to(context.dtype)).to(total.dtype)
        p = dropout_of(embeddings.dropout, context)
        return norm(total, embeddings.LayerNorm, p, context.dtype)

    def _block(self, context: ForwardContext) -> _Block:
        packed, encoder = context.packed, self.backbone.encoder
        length = -(-packed.max_length // _LENGTH_STEP) * _LENGTH_STEP
        positions, lookup = self._relative_positions(length, packed.rows.device)
        columns = torch.arange(length, device=packed.rows.device)
        is_token = columns < context.lengths.clamp(min=1)[:, None]
        rows = encoder.rel_embeddings.weight[positions.start : positions.stop]
        layer_norm = encoder.LayerNorm if "layer_norm" in encoder.norm_rel_ebd else nn.Identity()
        return _Block(
            n_rows=packed.n_rows,
            length=length,
            index=packed.rows * length + packed.positions,
            key_mask=torch.zeros_like(is_token, dtype=context.dtype).masked_fill(
                ~is_token, -torch.inf
            ),
            table=norm(rows, layer_norm, 0.0, context.dtype)[0],
            lookup=lookup,
        )

    def _relative_positions(
        self, length: int, device: torch.device
    ) -> tuple[RelativePositions, torch.Tensor]:
        """The rows for blocks of a length, and their numbers in a layer's projected table.

        They are computed once for each length, not within a captured CUDA graph.
        """
        if (length, device) not in self._positions:
            attention = self.backbone.encoder.layer[0].attention.self
            # Tensors of inference mode could not be used in training later.
            with torch.inference_mode(False):
                positions = relative_positions(
                    length, attention.position_buckets, attention.max_relative_positions, device
                )
                rows = {"p2c": positions.ascending, "c2p": positions.descending}
                n_types = len(self.attention_types)
                numbers = [rows[name] * n_types + i for i, name in enumerate(self.attention_types)]
                self._positions[length, device] = (positions, torch.cat(numbers))
        return self._positions[length, device]

    def _run_layer(
        self,
        layer: DebertaLayer,
        hidden: torch.Tensor,
        low: torch.Tensor,
        context: ForwardContext,
        block: _Block | None,
        first_only: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if first_only:
            others = layer.qkv(low, 1)
            hidden = hidden.index_select(0, context.first_tokens)
            queries = layer.qkv(low.index_select(0, context.first_tokens), 0, 1)
        else:
            queries, others = None, layer.qkv(low)
        attended = self._attend(layer, queries, others, context, block)
        return after_attention(layer, attended.flatten(1), hidden, context)

    def _attend(
        self,
        layer: DebertaLayer,
        queries: torch.Tensor | None,
        others: torch.Tensor,
        context: ForwardContext,
        block: _Block | None,
    ) -> torch.Tensor:
        """Attention ``(tokens, heads, dim)``, or with ``queries`` ``(rows, heads, dim)``.

        Args:
            layer: its modules.
            queries: ``(rows, heads * dim)``, those of the first tokens, if only they are needed.
            others: ``(tokens, 2 * heads * dim)`` keys and values, or without ``queries`` all three.
            context: of this forward pass.
            block: the block of padded rows; None: attention without relative positions.
        """
        p = dropout_of(layer.dropouts[0], context)
        if block is None:
            first = [] if queries is None else self._heads(queries, 1)
            return attend(*first, *self._heads(others, 3 - len(first)), context, p)
        positions = self._position_vectors(layer, context, block)
        padded = to_block(others, block.index, block.n_rows * block.length)
        parts = [
            x.unflatten(0, (block.n_rows, block.length))
            for x in self._heads(padded, 3 if queries is None else 2)
        ]
        if queries is not None:
            (query,) = self._heads(queries, 1)
            return attend_from_first_tokens(query, *parts, positions, block.key_mask, self.scale, p)
        attended = attend_disentangled(*parts, positions, block.key_mask, self.scale, p)
        return from_block(attended.flatten(0, 1), block.index)

    def _position_vectors(
        self, layer: DebertaLayer, context: ForwardContext, block: _Block
    ) -> PositionVectors:
        p = dropout_of(layer.position_dropout, context)
        table = F.dropout(block.table, p, p > 0).to(context.dtype)
        if layer.position_projection is not None:
            projected = layer.position_projection(table)
        else:
            first, last = "p2c" not in self.attention_types, 1 + ("c2p" in self.attention_types)
            projected = layer.qkv(table, int(first), last)
        n_types = len(self.attention_types)
        projected = (projected * self.scale).unflatten(1, (n_types, -1)).flatten(0, 1)
        # The gradient of an embedding adds up the distances of a bucket in a fixed order.
        vectors = F.embedding(block.lookup, projected).unflatten(1, (self.n_heads, -1))
        by_type = dict(zip(self.attention_types, vectors.chunk(n_types), strict=True))
        return PositionVectors(queries=by_type.get("p2c"), keys=by_type.get("c2p"))

    def _heads(self, projected: torch.Tensor, n: int) -> tuple[torch.Tensor, ...]:
        """``n`` times ``(tokens, heads, dim)`` of ``(tokens, n * heads * dim)``."""
        return projected.view(len(projected), n, self.n_heads, -1).unbind(1)


def _attention_types(backbone: Any) -> tuple[str, ...]:
    """Which scores of relative positions there are, in the order of queries and keys."""
    types = backbone.encoder.layer[0].attention.self.pos_att_type
    return tuple(name for name in ("p2c", "c2p") if name in types)


def _layer(layer: Any, attention_types: tuple[str, ...]) -> DebertaLayer:
    attention = layer.attention.self
    projection = None
    if attention_types and not attention.share_att_key:
        modules = {"p2c": "pos_query_proj", "c2p": "pos_key_proj"}
        projection = FusedLinear(*(getattr(attention, modules[name]) for name in attention_types))
    return DebertaLayer(
        qkv=FusedLinear(attention.query_proj, attention.key_proj, attention.value_proj),
        attention_output=FusedLinear(layer.attention.output.dense),
        attention_norm=layer.attention.output.LayerNorm,
        up=FusedLinear(layer.intermediate.dense),
        activation=layer.intermediate.intermediate_act_fn,
        down=FusedLinear(layer.output.dense),
        output_norm=layer.output.LayerNorm,
        dropouts=(attention.dropout, layer.attention.output.dropout, layer.output.dropout),
        position_projection=projection,
        position_dropout=getattr(attention, "pos_dropout", nn.Identity()),
    )
