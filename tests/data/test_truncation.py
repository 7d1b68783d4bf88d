"""Windows cover every token of a text, and head and tail keep what is around it."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from auxfold.data.token_store import TokenColumn
from auxfold.data.truncation import RowWindows, count_windows, head_tail_spans, window_spans


def read(spans, row: int = 0) -> list[int]:
    """The tokens that the spans of a row have, by their positions in the text."""
    pairs = zip(spans.starts[row], spans.counts[row], strict=True)
    return [token for start, count in pairs for token in range(start, start + count)]


def windows_of(size: int, room: int, before: int = 0, after: int = 0, stride=None) -> list:
    sizes, budgets = np.array([size]), np.array([min(size, room)])
    (n_windows,) = count_windows(sizes, room, before, after, stride)
    return [
        read(window_spans(sizes, budgets, before, after, stride, number))
        for number in range(n_windows)
    ]


def test_a_window_starts_every_stride_and_the_last_ends_with_the_text():
    assert windows_of(4, 4) == [[0, 1, 2, 3]]
    assert windows_of(10, 4, stride=3) == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    assert windows_of(5, 4, stride=3) == [[0, 1, 2, 3], [1, 2, 3, 4]]
    assert windows_of(9, 4) == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7], [5, 6, 7, 8]]
    # Two tokens before and one after are in each of them.
    assert windows_of(8, 5, 2, 1, stride=2) == [[0, 1, 2, 3, 7], [0, 1, 4, 5, 7], [0, 1, 5, 6, 7]]


@hypothesis.given(
    size=st.integers(0, 60), room=st.integers(1, 30), before=st.integers(0, 40),
    after=st.integers(0, 40), stride=st.none() | st.integers(1, 40),
)  # fmt: skip
def test_every_token_is_in_a_window(size, room, before, after, stride):
    windows = windows_of(size, room, before, after, stride)
    assert sorted({token for window in windows for token in window}) == [*range(size)]
    assert {len(window) for window in windows} == {min(size, room)}
    assert len({tuple(window) for window in windows}) == len(windows)


def test_head_and_tail_are_around_what_is_cut():
    sizes, budgets = np.array([10, 3]), np.array([6, 3])
    whole = [0, 1, 2]
    spans = head_tail_spans(sizes, budgets, 2, 1, 1.0)
    assert read(spans) == [0, 1, 2, 3, 4, 9] and read(spans, 1) == whole
    spans = head_tail_spans(sizes, budgets, 2, 1, 0.34)
    assert read(spans) == [0, 1, 2, 7, 8, 9] and read(spans, 1) == whole


def test_windows_of_rows_become_one_value_per_row():
    windows = RowWindows.of_rows(np.array([7, 3, 5]), np.array([2, 1, 3]))
    assert windows.rows.tolist() == [7, 7, 3, 5, 5, 5]
    assert windows.numbers.tolist() == [0, 1, 0, 0, 1, 2]
    values = np.array([[1, 8], [3, 2], [5, 5], [0, 9], [6, 0], [0, 0]], dtype=np.float32)
    mean, highest = (windows.reduce(values, reduction) for reduction in ("mean", "max"))
    assert mean.tolist() == [[2, 5], [5, 5], [2, 3]] and mean.dtype == np.float32
    assert highest.tolist() == [[3, 8], [5, 5], [6, 9]]
    values[4, 1] = np.nan
    assert np.isnan(windows.reduce(values, "max")[2, 1])
    nothing = RowWindows.of_rows(np.array([], dtype=int), np.array([], dtype=int))
    assert nothing.reduce(np.empty((0, 2), np.float32), "mean").shape == (0, 2)


@pytest.mark.parametrize("has_frame", [False, True])
def test_a_column_without_a_frame_has_none(has_frame):
    arrays = [np.array([1, 2]), np.array([0, 3])] if has_frame else []
    column = TokenColumn(np.arange(9), np.array([0, 4, 9]), *arrays)
    before, after = column.frame(np.array([1]))
    assert (np.sum(before), np.sum(after)) == ((2, 3) if has_frame else (0, 0))
