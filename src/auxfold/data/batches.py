"""Which rows make an optimizer step, and which of them go through the model together."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def training_steps(
    lengths: np.ndarray, batch_size: int, bucket_steps: int, seed: int, epoch: int
) -> list[np.ndarray]:
    """The indices of every optimizer step of one epoch, reproducible from seed and epoch.

    Rows are shuffled, sorted by length within buckets of ``bucket_steps`` steps and cut into steps
    of ``batch_size`` rows. The steps of all buckets are then shuffled. Every row comes once. The
    last step may be smaller.
    """
    random = np.random.default_rng([seed, epoch])
    steps = bucket_by_length(lengths, batch_size, bucket_steps, random)
    return [steps[i] for i in random.permutation(len(steps))]


def bucket_by_length(
    lengths: np.ndarray, batch_size: int, bucket_steps: int, random: np.random.Generator
) -> list[np.ndarray]:
    """Shuffled indices, sorted by length within buckets of ``bucket_steps`` steps, cut into steps.

    Args:
        lengths: ``(rows,)`` tokens of each row.
        batch_size: rows of a step.
        bucket_steps: steps of a bucket.
        random: the source of the shuffling; one permutation is drawn.
    """
    order = random.permutation(len(lengths))
    # Numbers of 8 or 16 bits are sorted several times as fast as those of 64.
    lengths = lengths.astype(np.min_scalar_type(lengths.max(initial=0)))
    steps: list[np.ndarray] = []
    for start in range(0, len(order), bucket_steps * batch_size):
        bucket = order[start : start + bucket_steps * batch_size]
        bucket = bucket[np.argsort(lengths[bucket], kind="stable")]
        steps += [bucket[i : i + batch_size] for i in range(0, len(bucket), batch_size)]
    return steps


def swap_mask(n_rows: int, seed: int, epoch: int) -> np.ndarray:
    """``(n_rows,)`` bool, true for the random half whose texts are swapped in this epoch."""
    return np.random.default_rng([seed, epoch, 1]).random(n_rows) < 0.5


def split_by_tokens(indices: np.ndarray, lengths: np.ndarray, max_tokens: int) -> list[np.ndarray]:
    """Indices, longest row first, in batches of at most ``max_tokens`` padded tokens.

    A row that is longer than ``max_tokens`` is a batch by itself.

    Args:
        indices: the rows to divide.
        lengths: tokens of each row, looked up by index.
        max_tokens: the most rows times tokens of the longest row in a batch.
    """
    indices = indices[np.argsort(-lengths[indices], kind="stable")]
    batches, start = [], 0
    while start < len(indices):
        size = max(1, max_tokens // int(lengths[indices[start]]))
        batches.append(indices[start : start + size])
        start += size
    return batches


def split_by_packed_tokens(
    indices: np.ndarray, lengths: np.ndarray, max_tokens: int
) -> list[np.ndarray]:
    """Indices, longest row first, in batches of at most ``max_tokens`` tokens without padding.

    A row that is longer than ``max_tokens`` is a batch by itself.

    Args:
        indices: the rows to divide.
        lengths: tokens of each row, looked up by index.
        max_tokens: the most tokens of a batch.
    """
    indices = indices[np.argsort(-lengths[indices], kind="stable")]
    ends = lengths[indices].cumsum()
    batches, start, done = [], 0, 0
    while start < len(indices):
        stop = max(start + 1, int(np.searchsorted(ends, done + max_tokens, side="right")))
        batches.append(indices[start:stop])
        start, done = stop, int(ends[stop - 1])
    return batches


def halve_largest(batches: Iterable[np.ndarray], lengths: np.ndarray, packed: bool) -> int | None:
    """Half the tokens of the largest batch; None where every batch is a single row.

    Args:
        batches: the rows of each.
        lengths: tokens of each row, looked up by index.
        packed: whether padding does not count.
    """
    several = [lengths[rows] for rows in batches if len(rows) > 1]
    sizes = [int(n.sum() if packed else len(n) * n.max()) for n in several]
    return max(sizes) // 2 if sizes else None
