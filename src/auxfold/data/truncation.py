"""Which tokens of a long text are read: its start, its start and its end, or windows of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Counts = np.ndarray | int


class Spans(NamedTuple):
    """The tokens that are read of each text, as spans that follow each other.

    Attributes:
        starts: ``(rows, spans)`` where a span starts in its text.
        counts: ``(rows, spans)`` its tokens.
    """

    starts: np.ndarray
    counts: np.ndarray


def token_budgets(lengths: list[np.ndarray], room: int) -> list[np.ndarray]:
    """How many tokens of each text are read: all if they fit, else the longer one is cut first.

    Args:
        lengths: ``(rows,)`` tokens of the one or two texts of each row, in their order there.
        room: the most tokens of a row without its special tokens.
    """
    room = max(room, 0)
    if len(lengths) == 1:
        return [np.minimum(lengths[0], room)]
    first, second = lengths
    half = room // 2
    # The shorter text leaves to the longer one what it does not need of its half.
    first_room = np.where(first <= second, half, room - np.minimum(second, half))
    second_room = np.where(first <= second, room - np.minimum(first, half), half)
    fits = first + second <= room
    return [
        np.where(fits, first, np.minimum(first, first_room)),
        np.where(fits, second, np.minimum(second, second_room)),
    ]


def head_tail_spans(
    sizes: np.ndarray,
    budgets: np.ndarray,
    prefixes: Counts,
    suffixes: Counts,
    head_fraction: float,
) -> Spans:
    """The start and the end of each text that is longer than its budget.

    Args:
        sizes: ``(rows,)`` tokens of each text.
        budgets: ``(rows,)`` the tokens that are read of it.
        prefixes: the tokens at its start that are always read, ``(rows,)`` or one number.
        suffixes: those at its end.
        head_fraction: the share of the other tokens that are taken from the start.
    """
    before, after = _clip_frame(budgets, prefixes, suffixes)
    heads = before + np.rint((budgets - before - after) * head_fraction).astype(np.int64)
    heads = np.where(sizes > budgets, heads, budgets)
    tails = budgets - heads
    return Spans(np.stack([np.zeros_like(sizes), sizes - tails], 1), np.stack([heads, tails], 1))


def window_spans(
    sizes: np.ndarray,
    budgets: np.ndarray,
    prefixes: Counts,
    suffixes: Counts,
    stride: int | None,
    windows: Counts,
) -> Spans:
    """One window of each text that is longer than its budget, between its prefix and its suffix.

    Args:
        sizes: ``(rows,)`` tokens of each text.
        budgets: ``(rows,)`` the tokens that are read of it.
        prefixes: the tokens at its start that every window has, ``(rows,)`` or one number.
        suffixes: those at its end.
        stride: as in :func:`count_windows`.
        windows: the number of the window, from 0, ``(rows,)`` or one for all.
    """
    before, after = _clip_frame(budgets, prefixes, suffixes)
    free = budgets - before - after
    is_truncated = sizes > budgets
    # The last window ends where the text ends, and so is as long as the others.
    offsets = np.minimum(windows * _strides(free, stride), sizes - budgets)
    starts = [np.zeros_like(sizes), before + offsets, sizes - after]
    counts = [np.where(is_truncated, before, budgets), is_truncated * free, is_truncated * after]
    return Spans(np.stack(starts, 1), np.stack(counts, 1))


def count_windows(
    sizes: np.ndarray, room: int, prefixes: Counts, suffixes: Counts, stride: int | None
) -> np.ndarray:
    """``(rows,)`` how many windows a text has; 1 where it is not longer than the room.

    Args:
        sizes: ``(rows,)`` tokens of each text.
        room: the most tokens of a window.
        prefixes: the tokens at the start of a text that every window has.
        suffixes: those at its end.
        stride: the tokens from the start of a window to that of the next one; None: half of the
            tokens of a window between prefix and suffix.
    """
    before, after = _clip_frame(np.full_like(sizes, room), prefixes, suffixes)
    strides = _strides(room - before - after, stride)
    return 1 + -(-np.maximum(sizes - room, 0) // strides)


def _strides(free: np.ndarray, stride: int | None) -> np.ndarray:
    """The strides of windows with so many tokens, which leave out no token."""
    return np.clip(free // 2 if stride is None else stride, 1, np.maximum(free, 1))


def _clip_frame(
    budgets: np.ndarray, prefixes: Counts, suffixes: Counts
) -> tuple[np.ndarray, np.ndarray]:
    """Prefixes and suffixes that leave a token of the budget to what is between them."""
    after = np.clip(suffixes, 0, np.maximum(budgets - 1, 0))
    return np.clip(prefixes, 0, np.maximum(budgets - 1 - after, 0)), after


class RowWindows(NamedTuple):
    """Every window of some rows, one row after the other.

    Attributes:
        rows: ``(windows,)`` the row of each window.
        numbers: ``(windows,)`` its number among the windows of the row, from 0.
    """

    rows: np.ndarray
    numbers: np.ndarray

    @classmethod
    def of_rows(cls, rows: np.ndarray, n_windows: np.ndarray) -> RowWindows:
        """The windows of rows that have so many, ``(rows,)`` each."""
        ends = n_windows.cumsum()
        numbers = np.arange(n_windows.sum()) - np.repeat(ends - n_windows, n_windows)
        return cls(np.repeat(rows, n_windows), numbers)

    def reduce(self, values: np.ndarray, reduction: str) -> np.ndarray:
        """``(rows, width)`` the mean or the maximum over the windows of each row.

        Args:
            values: ``(windows, width)``.
            reduction: ``mean`` or ``max``.
        """
        starts = np.flatnonzero(self.numbers == 0)
        if len(starts) == len(values):  # of one window each
            return values
        if reduction == "max":
            highest: np.ndarray = np.maximum.reduceat(values, starts, axis=0)
            return highest
        counts = np.diff(starts, append=len(values))[:, None]
        return np.add.reduceat(values, starts, axis=0) / counts.astype(values.dtype)
