"""Rows without padding between them, filled up to a size that many batches share."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from auxfold.data.packing import (
    Capacity,
    choose_capacity,
    choose_lanes,
    count_lanes,
    pack_rows,
)


def pack(lengths: list[int], capacity: Capacity | None = None, type_ids: bool = False):
    n_tokens = sum(lengths)
    return pack_rows(
        np.arange(100, 100 + n_tokens),
        np.ones(n_tokens, dtype=np.int64) if type_ids else None,
        np.array(lengths),
        pad_token_id=7,
        capacity=capacity,
    )


def test_rows_without_a_capacity():
    packed = pack([2, 3])
    assert packed.input_ids.tolist() == [100, 101, 102, 103, 104]
    assert packed.token_type_ids is None
    assert packed.positions.tolist() == [0, 1, 0, 1, 2]
    assert packed.rows.tolist() == [0, 0, 1, 1, 1]
    assert packed.offsets.tolist() == [0, 2, 5]
    assert packed.max_length == 3
    assert packed.n_rows == 2


def test_filler_rows_and_then_empty_rows_follow():
    packed = pack([2, 3], Capacity(tokens=14, rows=7, max_length=4), type_ids=True)
    assert packed.input_ids.tolist() == [100, 101, 102, 103, 104, *[7] * 9]
    assert packed.token_type_ids.tolist() == [1] * 5 + [0] * 9
    assert packed.positions.tolist() == [0, 1, 0, 1, 2, 0, 1, 2, 3, 0, 1, 2, 3, 0]
    assert packed.rows.tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4]
    assert packed.offsets.tolist() == [0, 2, 5, 9, 13, 14, 14, 14]
    assert packed.offsets.dtype == torch.int32
    assert {packed.input_ids.dtype, packed.positions.dtype, packed.rows.dtype} == {torch.int64}
    assert packed.max_length == 4
    assert packed.n_rows == 7


def test_a_capacity_that_the_rows_fill_exactly():
    packed = pack([2, 3], Capacity(tokens=5, rows=2, max_length=3))
    assert packed.offsets.tolist() == [0, 2, 5]


@pytest.mark.parametrize(
    "capacity",
    [
        Capacity(tokens=4, rows=9, max_length=9),  # too few tokens
        Capacity(tokens=5, rows=1, max_length=9),  # too few rows
        Capacity(tokens=9, rows=9, max_length=2),  # a row is too long
        Capacity(tokens=12, rows=3, max_length=3),  # seven filler tokens need three more rows
    ],
)
def test_rows_that_do_not_fit_are_refused(capacity):
    with pytest.raises(ValueError, match="2 rows of 5 tokens"):
        pack([2, 3], capacity)


def test_moving_keeps_values_and_missing_token_types():
    packed = pack([2, 3])
    moved = packed.to("cpu", non_blocking=True)
    assert moved.token_type_ids is None
    assert moved.max_length == 3
    assert moved.offsets.tolist() == [0, 2, 5]
    assert packed.to("meta").rows.device.type == "meta"


def test_sizes_are_multiples_of_64_and_above_1024_eight_per_octave():
    def sizes(low: int, high: int) -> list[int]:
        return sorted({choose_capacity(n, 32, 220).tokens for n in range(low, high)})

    assert sizes(0, 300) == [64, 128, 192, 256, 320]
    assert sizes(1025, 2049) == [1152, 1280, 1408, 1536, 1664, 1792, 1920, 2048]
    assert sizes(4097, 5000) == [4608, 5120]


@hypothesis.settings(max_examples=300, deadline=None)
@hypothesis.given(data=st.data(), n_rows=st.integers(1, 300), max_length=st.integers(1, 300))
def test_every_batch_fits_into_its_capacity(data, n_rows, max_length):
    random = np.random.default_rng(data.draw(st.integers(0, 999)))
    shortest = data.draw(st.integers(1, max_length))
    rows = data.draw(st.integers(1, n_rows))  # the last step of an epoch has fewer
    lengths = random.integers(shortest, max_length, rows, endpoint=True)
    capacity = choose_capacity(int(lengths.sum()), n_rows, max_length)
    packed = pack(lengths.tolist(), capacity)
    assert len(packed.input_ids) == capacity.tokens
    assert packed.n_rows == capacity.rows
    assert packed.offsets.diff().max() <= max_length
    assert packed.offsets.diff()[:rows].tolist() == lengths.tolist()
    assert capacity.tokens - lengths.sum() <= max(63, lengths.sum() / 8)
    assert capacity.rows == choose_capacity(1, n_rows, max_length).rows


def test_count_lanes():
    assert count_lanes(np.array([3, 2, 4, 1]), 5) == 2
    assert count_lanes(np.array([3, 3, 1, 5, 0]), 5) == 3
    assert count_lanes(np.array([1] * 10), 5) == 2


def test_lanes_of_a_capacity_depend_on_its_size_alone():
    capacity = Capacity(tokens=100, rows=40, max_length=10)
    short, long = np.full(30, 3), np.full(16, 6)
    # 13 lanes hold 130 tokens, and one more; three rows of three tokens fill a lane.
    assert choose_lanes(capacity, short) == capacity._replace(lanes=14)
    assert choose_lanes(capacity, short[:20]) == capacity._replace(lanes=14)
    # Each of 16 rows needs a lane: not counted, enough for any rows.
    assert choose_lanes(capacity, long) == capacity
    packed = pack_rows(
        np.ones(90, dtype=np.int64), None, short, pad_token_id=0,
        capacity=choose_lanes(capacity, short),
    )  # fmt: skip
    assert packed.lanes == 14
    assert packed.to("cpu").lanes == 14
