"""Groups of near-equal texts: MinHash bands propose pairs, and exact Jaccard similarities decide.

Two texts are near-equal if the Jaccard similarity of their sets of shingles reaches a threshold. A
group is a connected component of that relation. Bands (Broder 1997; Leskovec, Rajaraman and Ullman,
*Mining of Massive Datasets*, chapter 3) propose a pair at the threshold with a probability of 0.999
or more, and one above it nearly always.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from auxfold.data.shingles import (
    N_BINS,
    SHINGLE_LENGTH,
    jaccard_similarities,
    sketch_texts,
    split_by_size,
)

MIN_SHINGLES = 20  # a text with fewer different ones is near-equal to equal texts only
MIN_RECALL = 0.999  # of pairs at the threshold
MAX_NEIGHBORS = 512  # how many texts of its bucket a text is compared with
_STEP = 16  # of which so many at a time
_MAX_DEVIATION = 4.0  # standard deviations that an estimate may be below the threshold
_BATCH_TEXTS = 10_000  # whose sketches are compared with others together
_BATCH_CHARACTERS = 8_000_000  # of pairs whose shingles are compared together


def group_near_duplicates(texts: Sequence[str] | np.ndarray, similarity: float) -> np.ndarray:
    """The group of every text, ``(texts,)`` int: the index of its first text.

    Args:
        texts: normalized and all different.
        similarity: the Jaccard similarity from which two texts are near-equal.
    """
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    sketches, n_filled = sketch_texts(texts)
    # Twenty shingles fill at least half as many bins, but for a chance below 1e-12.
    has_shingles = (lengths - SHINGLE_LENGTH + 1 >= MIN_SHINGLES) & (n_filled * 2 >= MIN_SHINGLES)
    rows = np.flatnonzero(has_shingles)
    groups = np.arange(len(texts))
    for left, right in _candidate_pairs(sketches, rows, groups, similarity):
        for batch in split_by_size(lengths[left] + lengths[right], _BATCH_CHARACTERS):
            first, second = left[batch], right[batch]
            similarities, n_shingles = jaccard_similarities(texts, first, second)
            is_near = (similarities >= similarity) & (n_shingles >= MIN_SHINGLES)
            _merge_groups(groups, first[is_near], second[is_near])
    return groups


def band_size(similarity: float) -> int:
    """How many numbers of a sketch a band has: as many as ``MIN_RECALL`` allows, at most eight.

    The more there are, the fewer pairs are proposed that are not near-equal.
    """
    sizes = range(1, 9)
    missed = [(1 - similarity**size) ** (N_BINS // size) for size in sizes]
    return max(size for size, share in zip(sizes, missed, strict=True) if share <= 1 - MIN_RECALL)


def _candidate_pairs(
    sketches: np.ndarray, rows: np.ndarray, groups: np.ndarray, similarity: float
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs that share a band, are in different groups, and whose sketches are similar.

    Args:
        sketches: ``(texts, N_BINS)``.
        rows: the texts that take part.
        groups: ``(texts,)`` the groups so far; the caller joins groups between two steps.
        similarity: of near-equal texts.

    Yields:
        Indices of the first and of the second text of each pair.
    """
    size = band_size(similarity)
    n_bands = N_BINS // size if len(rows) else 0
    deviation = np.sqrt(similarity * (1 - similarity) / N_BINS)
    min_estimate = similarity - _MAX_DEVIATION * deviation
    is_crowded = np.zeros((n_bands, len(sketches)), dtype=bool)
    for band in range(n_bands):
        order, last = _sort_into_buckets(sketches, rows, band, size)
        sizes = np.diff(last, prepend=-1)
        is_crowded[band, order] = np.repeat(sizes > MAX_NEIGHBORS, sizes)
        for left, right in _bucket_pairs(order, last, groups):
            equal = sketches[left] == sketches[right]
            shared = equal[:, : band * size].reshape(len(left), band, size).all(axis=2)
            # Of an earlier band, all pairs were compared but those of crowded buckets.
            is_new = ~(shared & ~is_crowded[:band, left].T).any(axis=1)
            is_new &= equal.mean(axis=1) >= min_estimate
            yield left[is_new], right[is_new]


def _sort_into_buckets(
    sketches: np.ndarray, rows: np.ndarray, band: int, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """The texts of buckets, of an equal band, that have several, and where each bucket ends.

    A key holds the band and some numbers after it, so that texts which share these, too, come next
    to each other.
    """
    columns = np.arange(band * size, band * size + 8) % N_BINS
    keys = sketches[rows[:, None], columns].view(">u8")[:, 0].astype(np.uint64)
    order = np.argsort(keys, kind="stable")  # the same on every machine
    bands = keys[order] >> np.uint64(64 - 8 * size)
    is_last = np.append(bands[1:] != bands[:-1], True)
    is_first = np.append(True, is_last[:-1])
    is_shared = ~(is_first & is_last)
    return rows[order[is_shared]], np.flatnonzero(is_last[is_shared])


def _bucket_pairs(
    order: np.ndarray, last: np.ndarray, groups: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of one bucket and of different groups; next neighbors first, since they join most."""
    bucket = np.repeat(np.arange(len(last)), np.diff(last, prepend=-1))
    starts = np.arange(len(order))
    for distance in [1, *range(2, MAX_NEIGHBORS, _STEP)]:
        starts = starts[starts + distance <= last[bucket[starts]]]
        if not len(starts):
            return
        starts = starts[_has_several(groups[order], last)[bucket[starts]]]
        distances = np.arange(distance, distance + (_STEP if distance > 1 else 1))
        for batch in np.split(starts, range(_BATCH_TEXTS, len(starts), _BATCH_TEXTS)):
            partners = batch[:, None] + distances
            is_inside = partners <= last[bucket[batch]][:, None]
            left = order[np.repeat(batch, is_inside.sum(axis=1))]
            right = order[partners[is_inside]]
            differ = groups[left] != groups[right]
            yield left[differ], right[differ]


def _has_several(groups: np.ndarray, last: np.ndarray) -> np.ndarray:
    """``(buckets,)`` bool: which buckets hold texts of several groups."""
    first = np.concatenate([[0], last[:-1] + 1])
    return np.minimum.reduceat(groups, first) != np.maximum.reduceat(groups, first)


def _merge_groups(groups: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """Join the groups of each pair, in place; the smallest member names a group."""
    if not len(left):
        return
    pairs = np.concatenate([groups[left], groups[right]])
    names, index = np.unique(pairs, return_inverse=True)
    edges = (np.ones(len(left), np.int8), (index[: len(left)], index[len(left) :]))
    graph = coo_matrix(edges, shape=(len(names), len(names)))
    _, components = connected_components(graph, directed=False)
    _, first = np.unique(components, return_index=True)  # names ascend: its first is its smallest
    renamed = np.arange(len(groups))
    renamed[names] = names[first][components]
    groups[:] = renamed[groups]
