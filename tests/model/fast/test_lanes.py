"""Rows in lanes: none is divided, none overlaps another, and there are always enough lanes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from auxfold.data.packing import Capacity, PackedTokens, pack_rows
from auxfold.model.fast.lanes import fill_lanes


def pack(lengths: list[int], capacity: Capacity | None = None) -> PackedTokens:
    ids = np.ones(sum(lengths), dtype=np.int64)
    return pack_rows(ids, None, np.array(lengths), pad_token_id=0, capacity=capacity)


def test_rows_fill_lanes_in_their_order():
    lanes = fill_lanes(pack([3, 2, 4, 1])._replace(lanes=0), 5, torch.float32)
    assert lanes.n_lanes == 4
    # Two rows in the first lane, two in the next, and nothing in the others.
    assert lanes.slots.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    pairs = (lanes.mask == 0).long()
    assert pairs[0].tolist() == [
        [1, 1, 1, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 0, 0],
        [0, 0, 0, 1, 1],
        [0, 0, 0, 1, 1],
    ]
    assert pairs[3].tolist() == [[1] * 5] * 5  # only padding


def test_a_row_that_does_not_fit_starts_a_lane():
    lanes = fill_lanes(pack([3, 3, 1]), 5, torch.float32)
    assert lanes.slots.tolist() == [0, 1, 2, 5, 6, 7, 8]
    assert (lanes.mask[0] == 0).tolist() == [
        [True, True, True, False, False],
        [True, True, True, False, False],
        [True, True, True, False, False],
        [False, False, False, True, True],  # padding
        [False, False, False, True, True],
    ]


@pytest.mark.parametrize("seed", range(20))
def test_lanes_hold_any_lengths(seed: int):
    random = np.random.default_rng(seed)
    length = int(random.integers(4, 40))
    # Lengths just above the half of a lane need the most lanes.
    low, high = [(1, length), (length // 2, length // 2 + 2), (1, 3)][seed % 3]
    lengths = random.integers(low, high, random.integers(1, 60)).tolist()
    n_tokens = sum(lengths)
    capacity = Capacity(n_tokens + int(random.integers(0, 3 * length)), len(lengths) + 8, length)
    packed = pack(lengths, capacity if seed % 2 else None)
    if seed % 4 == 0:
        packed = packed._replace(lanes=0)  # not counted
    lanes = fill_lanes(packed, length, torch.float32)
    index = lanes.slots.numpy()
    assert len(np.unique(index)) == len(index) and index.max() < lanes.n_lanes * length
    rows, positions = packed.rows.numpy(), packed.positions.numpy()
    row_starts = index[positions == 0][np.searchsorted(np.unique(rows), rows)]
    assert np.array_equal(index, row_starts + positions)  # one after the other
    assert np.array_equal(index // length, row_starts // length)  # in one lane
    # A lane ends only where the next row does not fit.
    used = np.bincount(index // length, minlength=lanes.n_lanes)
    firsts = np.flatnonzero(np.diff(index // length)) + 1
    next_lengths = np.diff(packed.offsets.numpy())[rows[firsts]]
    assert (used[: len(firsts)] + next_lengths > length).all()
    # A token attends to the tokens of its row.
    row_of = np.full(lanes.n_lanes * length, -1)
    row_of[index] = rows
    row_of = row_of.reshape(lanes.n_lanes, length)
    assert np.array_equal(lanes.mask.numpy() == 0, row_of[:, :, None] == row_of[:, None])
