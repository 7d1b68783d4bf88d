"""Character shingles of texts: their hashes, MinHash sketches, and exact Jaccard similarities.

A shingle is a run of five characters (Broder 1997). A sketch holds one number in each of 128 bins.
The share of bins in which two sketches are equal estimates the Jaccard similarity of the texts (one
permutation hashing, Li, Owen and Zhang 2012; empty bins are filled as in Shrivastava 2017; a byte
of each number is enough, Li and König 2010).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.sparse import csr_matrix

SHINGLE_LENGTH = 5  # characters
N_BINS = 128  # numbers in a sketch
_BIN_SHIFT = np.uint64(64 - 7)  # the first seven bits of a hash say its bin
_EMPTY = np.uint32(2**32 - 1)
_BATCH_CHARACTERS = 250_000  # whose hashes stay in the cache of a core
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))  # of splitmix64
# Where each bin takes its number from if it is empty: all bins, in an order of its own.
_DONORS = np.argsort(np.random.RandomState(0).random_sample((N_BINS, N_BINS)), axis=0)


def hash_shingles(texts: Sequence[str] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The hash of every shingle, text after text, and how many each text has.

    Returns:
        ``(shingles,)`` uint64 and ``(texts,)`` int. A shingle that a text repeats is repeated.
    """
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    counts = np.maximum(lengths - SHINGLE_LENGTH + 1, 0)
    encoded = "".join(texts).encode("utf-32-le", "surrogatepass")
    codes = np.frombuffer(encoded, np.uint32).astype(np.uint64)
    n = len(codes) - SHINGLE_LENGTH + 1
    if n <= 0:
        return np.empty(0, np.uint64), counts
    hashes = codes[:n].copy()
    for offset in range(1, SHINGLE_LENGTH):
        hashes *= _MULTIPLIER
        hashes += codes[offset : offset + n]
    for factor in _MIX:
        hashes ^= hashes >> np.uint64(31)
        hashes *= factor
    hashes ^= hashes >> np.uint64(31)
    is_within = np.ones(n, dtype=bool)  # and does not run on into the next text
    ends = np.cumsum(lengths)
    for distance in range(1, SHINGLE_LENGTH):
        starts = (ends - distance)[lengths >= distance]
        is_within[starts[starts < n]] = False
    return hashes[is_within], counts


def sketch_texts(texts: Sequence[str] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sketch of every text.

    Returns:
        ``(texts, N_BINS)`` uint8, and ``(texts,)`` the number of bins that shingles fill, which is
        at most that of different shingles.
    """
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    sketches = np.empty((len(texts), N_BINS), np.uint8)
    n_filled = np.empty(len(texts), np.int64)
    for batch in split_by_size(lengths, _BATCH_CHARACTERS):
        hashes, counts = hash_shingles(texts[batch])
        bins = np.repeat(np.arange(len(counts)) * N_BINS, counts)
        bins += (hashes >> _BIN_SHIFT).astype(np.int64)
        smallest = np.full((len(counts), N_BINS), _EMPTY)
        np.minimum.at(smallest.reshape(-1), bins, hashes.astype(np.uint32))
        n_filled[batch] = (smallest != _EMPTY).sum(axis=1)
        _fill_empty_bins(smallest)
        # The first byte of the smallest of several numbers is mostly zero, the last one is not.
        sketches[batch] = smallest.astype(np.uint8)
    return sketches, n_filled


def _fill_empty_bins(smallest: np.ndarray) -> None:
    """Copy numbers of other bins into the empty ones of every text that has a shingle, in place."""
    source = smallest.copy()
    is_empty = smallest == _EMPTY
    rows, bins = np.nonzero(is_empty & ~is_empty.all(axis=1, keepdims=True))
    for donors in _DONORS:
        if not len(rows):
            return
        values = source[rows, donors[bins]]
        smallest[rows, bins] = values
        is_empty = values == _EMPTY
        rows, bins = rows[is_empty], bins[is_empty]


def jaccard_similarities(
    texts: Sequence[str] | np.ndarray, left: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The Jaccard similarities of pairs of texts: shingles of both / shingles of either.

    Shingles are compared by their 64-bit hashes.

    Args:
        texts: the texts.
        left: ``(pairs,)`` indices of the first text of each pair.
        right: ``(pairs,)`` those of the second.

    Returns:
        ``(pairs,)`` similarities, 0 for two texts without a shingle, and ``(pairs,)`` the number of
        different shingles of the text that has fewer.
    """
    rows, inverse = np.unique(np.concatenate([left, right]), return_inverse=True)
    hashes, counts = hash_shingles([texts[row] for row in rows])
    # Hashes are the columns of a sparse matrix, whose rows are intersected in compiled code.
    columns = (hashes >> np.uint64(1)).astype(np.int64)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    shape = (len(rows), 2**63 - 1)
    shingles = csr_matrix((np.ones(len(columns), np.int8), columns, indptr), shape=shape)
    shingles.sum_duplicates()
    shingles.data[:] = 1
    sizes = np.diff(shingles.indptr)
    first, second = inverse[: len(left)], inverse[len(left) :]
    common = np.diff(shingles[first].multiply(shingles[second]).indptr)
    union = sizes[first] + sizes[second] - common
    return common / np.maximum(union, 1), np.minimum(sizes[first], sizes[second])


def split_by_size(sizes: np.ndarray, limit: int) -> Iterator[slice]:
    """Consecutive slices of items whose sizes sum to at most ``limit``, or of one larger item."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, before + limit, side="right")), start + 1)
        yield slice(start, stop)
        start = stop
