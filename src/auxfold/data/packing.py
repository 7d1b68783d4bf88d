"""Tokens of several rows one after the other, without padding between them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from auxfold.data.prefetch import map_tensors

TOKEN_STEP = 64  # the least difference of two sizes, in tokens


class Capacity(NamedTuple):
    """A fixed size of a packed batch, so that one CUDA graph serves every batch that fits.

    Attributes:
        tokens: tokens of the batch, filler included.
        rows: rows of the batch, empty rows and the rows of filler tokens included.
        max_length: no row is longer.
        lanes: into so many lanes of ``max_length`` tokens the rows fit, if each row follows the
            row before it where it fits and else starts a lane; 0: not counted.
    """

    tokens: int
    rows: int
    max_length: int
    lanes: int = 0


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
        lanes: as in :class:`Capacity`.
    """

    input_ids: torch.Tensor
    token_type_ids: torch.Tensor | None
    positions: torch.Tensor
    rows: torch.Tensor
    offsets: torch.Tensor
    max_length: int
    lanes: int = 0

    @property
    def n_rows(self) -> int:
        """The number of rows, empty rows and rows of filler tokens included."""
        return len(self.offsets) - 1

    def to(self, device: torch.device | str, non_blocking: bool = False) -> PackedTokens:
        """The same on a device."""
        return map_tensors(lambda tensor: tensor.to(device, non_blocking=non_blocking), self)


def pack_rows(
    ids: np.ndarray,
    type_ids: np.ndarray | None,
    lengths: np.ndarray,
    *,
    pad_token_id: int,
    capacity: Capacity | None = None,
) -> PackedTokens:
    """Rows of tokens as :class:`PackedTokens`, filled up to a capacity.

    Args:
        ids: ``(tokens,)`` int64, the tokens of all rows one row after the other.
        type_ids: ``(tokens,)`` int64, their token types; None where there are none.
        lengths: ``(rows,)`` int64, the tokens of each row.
        pad_token_id: the token of the rows that fill up.
        capacity: what to fill up to; None adds nothing.

    Raises:
        ValueError: the rows do not fit into the capacity.
    """
    max_length = int(lengths.max(initial=0))
    if capacity is not None:
        n_filler = capacity.tokens - len(ids)
        lengths = np.concatenate([lengths, _filler_lengths(lengths, n_filler, capacity)])
        max_length = capacity.max_length
        ids = np.concatenate([ids, np.full(n_filler, pad_token_id, dtype=np.int64)])
        if type_ids is not None:
            type_ids = np.concatenate([type_ids, np.zeros(n_filler, dtype=np.int64)])
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return PackedTokens(
        input_ids=torch.from_numpy(ids),
        token_type_ids=None if type_ids is None else torch.from_numpy(type_ids),
        positions=torch.from_numpy(np.arange(len(ids)) - np.repeat(offsets[:-1], lengths)),
        rows=torch.from_numpy(np.repeat(np.arange(len(lengths)), lengths)),
        offsets=torch.from_numpy(offsets.astype(np.int32)),
        max_length=max_length,
        lanes=count_lanes(lengths, max_length) if capacity is None else capacity.lanes,
    )


def _filler_lengths(lengths: np.ndarray, n_filler: int, capacity: Capacity) -> np.ndarray:
    """The lengths of the rows that follow: as few rows of filler as possible, then empty rows.

    Raises:
        ValueError: the rows, or the rows of filler after them, do not fit into the capacity.
    """
    longest = int(lengths.max(initial=0))
    n_filler_rows = -(-max(n_filler, 0) // capacity.max_length)
    n_empty = capacity.rows - len(lengths) - n_filler_rows
    if longest > capacity.max_length or n_filler < 0 or n_empty < 0:
        raise ValueError(
            f"{len(lengths)} rows of {lengths.sum()} tokens, at most {longest} each, and "
            f"{n_filler_rows} rows of filler do not fit into {capacity}"
        )
    filler = np.full(n_filler_rows, capacity.max_length, dtype=np.int64)
    if n_filler_rows:
        filler[-1] = n_filler - (n_filler_rows - 1) * capacity.max_length
    return np.concatenate([filler, np.zeros(n_empty, dtype=np.int64)])


def choose_capacity(n_tokens: int, n_rows: int, max_length: int) -> Capacity:
    """The smallest of a few sizes that holds a batch.

    Tokens are rounded up to multiples of 64, and above 1,024 tokens to eight sizes between a power
    of two and the next: an epoch needs few sizes, and the filler is about 4 % of the tokens. The
    number of rows depends on ``n_rows`` and not on the tokens.

    Args:
        n_tokens: tokens of the batch.
        n_rows: rows of the batch, or the most rows that any batch has.
        max_length: no row of the batch is longer.
    """
    # Eight steps from the power of two below the tokens to the one above them.
    step = max(TOKEN_STEP, 1 << max((n_tokens - 1).bit_length() - 4, 0))
    tokens = max(-(-n_tokens // step), 1) * step
    # The filler is shorter than a step, which is at most an eighth of n_rows * max_length or 64.
    filler_rows = max(-(-n_rows // 8), -(-TOKEN_STEP // max_length))
    return Capacity(tokens, n_rows + filler_rows, max_length)


def choose_lanes(capacity: Capacity, lengths: np.ndarray) -> Capacity:
    """The same size with a number of lanes that depends on the size alone, if the rows fit.

    With 30 % more than the tokens fill they nearly always do, where half of the lanes that suffice
    for any rows would be empty.

    Args:
        capacity: the size.
        lengths: ``(rows,)`` int64, the tokens of each row.
    """
    filler = _filler_lengths(lengths, capacity.tokens - int(lengths.sum()), capacity)
    lanes = -(-capacity.tokens * 13 // (capacity.max_length * 10)) + 1
    fits = count_lanes(np.concatenate([lengths, filler]), capacity.max_length) <= lanes
    return capacity._replace(lanes=lanes if fits else 0)


def count_lanes(lengths: np.ndarray, max_length: int) -> int:
    """How many lanes of ``max_length`` tokens the rows fill; see :class:`Capacity`."""
    n_lanes, n_tokens = 1, 0
    for length in lengths.tolist():
        if n_tokens + length > max_length:
            n_lanes, n_tokens = n_lanes + 1, 0
        n_tokens += length
    return n_lanes
