"""Blocks in which several short rows share one row: lanes, as long as the longest row."""

from __future__ import annotations

from typing import NamedTuple

import torch

from auxfold.data.packing import PackedTokens


class Lanes(NamedTuple):
    """Packed tokens in lanes of one length, with whole rows one after the other in each.

    Attention over pairs of tokens costs ``n_lanes * length ** 2``, far less than a block with a row
    per text where most texts are short. The distance of two tokens of a row does not change.

    Attributes:
        n_lanes: how many lanes.
        length: the tokens of a lane.
        slots: ``(tokens,)`` int64, where each token is among the ``n_lanes * length``.
        mask: ``(n_lanes, length, length)``, 0 for pairs of tokens of one row (and for pairs of
            padding, since a softmax over nothing is not a number), else minus infinity.
    """

    n_lanes: int
    length: int
    slots: torch.Tensor
    mask: torch.Tensor


def fill_lanes(packed: PackedTokens, length: int, dtype: torch.dtype) -> Lanes:
    """Put each row into the lane of the row before it, or into the next lane where it does not fit.

    Where nobody has counted the lanes (``packed.lanes``), there are enough for rows of any lengths.
    All of it runs on the device.

    Args:
        packed: the tokens.
        length: the tokens of a lane, at least ``packed.max_length``.
        dtype: the number format of the mask.
    """
    n_tokens, n_rows = len(packed.input_ids), packed.n_rows
    # Two neighboring lanes together hold more tokens than one lane has.
    n_lanes = packed.lanes or max(min(n_rows, 2 * n_tokens // length + 1), 1)
    offsets = packed.offsets.long()
    first_rows = _first_rows(offsets, length, n_lanes)
    lanes = torch.searchsorted(first_rows, packed.rows, right=True) - 1
    starts = offsets.index_select(0, first_rows).index_select(0, lanes)
    tokens = torch.arange(n_tokens, device=offsets.device)
    slots = lanes * length + tokens - starts
    row_of = torch.full((n_lanes * length,), -1, device=offsets.device)
    row_of = row_of.index_copy_(0, slots, packed.rows).view(n_lanes, length)
    is_other = row_of[:, :, None] != row_of[:, None]
    mask = torch.zeros(is_other.shape, dtype=dtype, device=offsets.device)
    return Lanes(n_lanes, length, slots, mask.masked_fill_(is_other, -torch.inf))


def _first_rows(offsets: torch.Tensor, length: int, n_lanes: int) -> torch.Tensor:
    """``(n_lanes,)`` int64, the first row of each lane; of unused lanes the number of rows."""
    # The row that starts the next lane if a row starts one.
    following = torch.searchsorted(offsets, offsets + length, right=True) - 1
    first_rows = torch.zeros(1, dtype=torch.long, device=offsets.device)
    while len(first_rows) < n_lanes:  # twice as many with each turn
        first_rows = torch.cat([first_rows, following.index_select(0, first_rows)])
        following = following.index_select(0, following)
    return first_rows[:n_lanes]
