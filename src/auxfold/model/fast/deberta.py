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
    attend_disentangled,
    attend_from_first_tokens,
    look_up,
    relative_positions,
)
from auxfold.model.fast.encoder import FastEncoder, dropout_of
from auxfold.model.fast.lanes import Lanes, fill_lanes
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


class _Positions(NamedTuple):
    """What all layers of one forward pass attend with.

    Attributes:
        lanes: the tokens as a block.
        tables: ``(layers, table rows, hidden)``, the relative positions that occur, after dropout.
        lookup: ``(types * 2 * length,)`` int64, the rows of a layer's projected table, in which the
            projections of a position follow each other.
        is_looked_up: ``(rows of a projected table, types * 2 * length)``, 1 where the lookup names
            the row, else 0.
    """

    lanes: Lanes
    tables: torch.Tensor
    lookup: torch.Tensor
    is_looked_up: torch.Tensor


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
        # The columns of a layer's projected table.
        is_shared = self.layers[0].position_projection is None
        self._n_projections = 3 if is_shared else len(self.attention_types)
        project = module.embeddings.embed_proj
        self.project = None if project is None else FusedLinear(project)
        self._lookups: dict[tuple[int, torch.device], tuple[slice, torch.Tensor]] = {}
        super().__init__(backbone, pooling, pool)

    @property
    def max_length_step(self) -> int:
        """See :class:`FastEncoder`. Shorter lanes cost less, but few lengths need few graphs."""
        return 64

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

    def prepare(self, max_length: int) -> None:
        """See :class:`FastEncoder`."""
        if self.attention_types:
            self._rows_and_lookup(_block_length(max_length), self.backbone.device)

    def encode(self, context: ForwardContext) -> tuple[torch.Tensor, torch.Tensor]:
        """See :class:`FastEncoder`."""
        hidden, low = self._embed(context)
        positions = self._positions(context) if self.attention_types else None
        for number, layer in enumerate(self.layers):
            first_only = self.first_only and layer is self.layers[-1]
            attended = self._attend(number, low, context, positions, first_only)
            if first_only:
                hidden = hidden.index_select(0, context.first_tokens)
            hidden, low = after_attention(layer, attended.flatten(1), hidden, context)
        return hidden, low

    def _embed(self, context: ForwardContext) -> tuple[torch.Tensor, torch.Tensor]:
        embeddings, position_ids = self.backbone.embeddings, context.packed.positions
        table = embeddings.position_embeddings
        if table is not None and context.packed.max_length > table.num_embeddings:
            # Rows of filler may be longer than any row.
            position_ids = position_ids.clamp(max=table.num_embeddings - 1)
        total = sum_embeddings(embeddings, context.packed, position_ids)
        if self.project is not None:
            total = self.project(total.to(context.dtype)).to(total.dtype)
        p = dropout_of(embeddings.dropout, context)
        return norm(total, embeddings.LayerNorm, p, context.dtype)

    def _positions(self, context: ForwardContext) -> _Positions:
        packed, encoder = context.packed, self.backbone.encoder
        length = _block_length(packed.max_length)
        rows, lookup = self._rows_and_lookup(length, packed.rows.device)
        layer_norm = encoder.LayerNorm if "layer_norm" in encoder.norm_rel_ebd else nn.Identity()
        table, _ = norm(encoder.rel_embeddings.weight[rows], layer_norm, 0.0, context.dtype)
        # A mask for each layer, and gradients that are added up in fp32.
        p = dropout_of(self.layers[0].position_dropout, context)
        tables = F.dropout(table.expand(len(self.layers), *table.shape), p, p > 0)
        lanes = fill_lanes(packed, length, context.dtype)
        numbers = torch.arange(len(table) * self._n_projections, device=lookup.device)
        is_looked_up = (numbers[:, None] == lookup).to(context.dtype)
        return _Positions(lanes, tables.to(context.dtype), lookup, is_looked_up)

    def _rows_and_lookup(self, length: int, device: torch.device) -> tuple[slice, torch.Tensor]:
        """The rows of the table of positions for a length, and the lookup in :class:`_Positions`.

        They are computed once for each length, which waits for the device.
        """
        if (length, device) not in self._lookups:
            attention = self.backbone.encoder.layer[0].attention.self
            # Tensors of inference mode could not be used in training later.
            with torch.inference_mode(False):
                positions = relative_positions(
                    length, attention.position_buckets, attention.max_relative_positions, device
                )
                numbers = {"p2c": positions.ascending, "c2p": positions.descending}
                columns = {name: i for i, name in enumerate(self.attention_types)}
                if self.layers[0].position_projection is None:
                    columns = {"p2c": 0, "c2p": 1}  # queries, keys and values
                n_columns = self._n_projections
                lookup = [numbers[t] * n_columns + columns[t] for t in self.attention_types]
                rows = slice(positions.start, positions.stop)
                self._lookups[length, device] = (rows, torch.cat(lookup))
        return self._lookups[length, device]

    def _attend(
        self,
        number: int,
        low: torch.Tensor,
        context: ForwardContext,
        positions: _Positions | None,
        first_only: bool,
    ) -> torch.Tensor:
        """The attention of a layer, ``(tokens or rows, heads, dim)``.

        Args:
            number: of the layer.
            low: ``(tokens, hidden)``, its input in the number format of matrix products.
            context: of this forward pass.
            positions: of this forward pass; None: attention without relative positions.
            first_only: whether only the first token of each row attends.
        """
        layer = self.layers[number]
        p = dropout_of(layer.dropouts[0], context)
        if positions is None:
            query, key, value = self._heads(layer.qkv(low))
            query = query.index_select(0, context.first_tokens) if first_only else query
            return attend(query, key, value, context, p)
        projected, vectors = self._project(layer, low, positions.tables[number], positions)
        if first_only:
            index, key_mask = self._rows_as_block(context, positions.lanes.length)
            n_rows, length = key_mask.shape
        else:
            n_rows, length, index, mask = positions.lanes
        block = to_block(projected, index, n_rows * length)
        query, key, value = (x.unflatten(0, (n_rows, length)) for x in self._heads(block))
        if first_only:
            return attend_from_first_tokens(
                query[:, 0], key, value, vectors, key_mask, self.scale, p
            )
        attended = attend_disentangled(query, key, value, vectors, mask, self.scale, p)
        return from_block(attended.flatten(0, 1), index)

    def _project(
        self, layer: DebertaLayer, low: torch.Tensor, table: torch.Tensor, positions: _Positions
    ) -> tuple[torch.Tensor, PositionVectors]:
        """Queries, keys and values ``(tokens, 3 * heads * dim)``, and the vectors of positions."""
        if layer.position_projection is None:
            # The projections of tokens: one product for both.
            tokens_and_table = layer.qkv(torch.cat([low, table]))
            projected, rows = tokens_and_table.split([len(low), len(table)])
        else:
            projected, rows = layer.qkv(low), layer.position_projection(table)
        rows = rows.view(-1, projected.shape[1] // 3)
        vectors = look_up(rows, positions.lookup, positions.is_looked_up)
        vectors = vectors.unflatten(1, (self.n_heads, -1))
        parts = vectors.chunk(len(self.attention_types))
        by_type = dict(zip(self.attention_types, parts, strict=True))
        return projected, PositionVectors(queries=by_type.get("p2c"), keys=by_type.get("c2p"))

    def _rows_as_block(
        self, context: ForwardContext, length: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The index of a block with a row per text, ``(tokens,)``, and its mask of keys."""
        packed = context.packed
        columns = torch.arange(length, device=packed.rows.device)
        is_padding = columns >= context.lengths.clamp(min=1)[:, None]
        mask = torch.zeros(is_padding.shape, dtype=context.dtype, device=columns.device)
        index = packed.rows * length + packed.positions
        return index, mask.masked_fill_(is_padding, -torch.inf)

    def _heads(self, projected: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Queries, keys and values ``(tokens, heads, dim)``."""
        return projected.view(len(projected), 3, self.n_heads, -1).unbind(1)


def _block_length(max_length: int) -> int:
    return max(-(-max_length // _LENGTH_STEP), 1) * _LENGTH_STEP


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
