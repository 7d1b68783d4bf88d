"""Tokens of several rows one after the other, without padding between them."""

from __future__ import annotations

from typing import NamedTuple

import torch


class Capacity(NamedTuple):
    """A fixed size of a packed batch, so that one CUDA graph serves every batch that fits.

    Attributes:
        tokens: tokens of the batch, filler included.
        rows: rows of the batch, empty rows and the rows of filler tokens included.
        max_length: no row is longer.
    """

    tokens: int
    rows: int
    max_length: int


class PackedTokens(NamedTuple):
    """Tokens of several rows one after the other, without padding between them.

    Rows without a token and rows of filler tokens may follow the rows of a batch, up to a
    :class:`Capacity`.

    Attributes:
        input_ids: ``(tokens,)`` int64.
        token_type_ids: ``(tokens,)`` int64; None where the tokenizer has no token types.
        positions: ``(tokens,)`` int64, the position of each token in its row, from 0.
        rows: ``(tokens,)`` int64, the row of each token.
        offsets: ``(rows + 1,)`` int32: row ``i`` is the tokens ``offsets[i]`` to
            ``offsets[i + 1]``.
        max_length: no row is longer.
    """

    input_ids: torch.Tensor
    token_type_ids: torch.Tensor | None
    positions: torch.Tensor
    rows: torch.Tensor
    offsets: torch.Tensor
    max_length: int

    @property
    def n_rows(self) -> int:
        """The number of rows, empty rows and rows of filler tokens included."""
        return len(self.offsets) - 1
