"""How often the rows of each source come in an epoch, and which rows make an optimizer step.

An epoch has as many rows as the training data. The setting decides how they are shared among the
sources. ``size`` keeps the shares of the data. ``temperature`` T gives shares proportional to
``size ** (1 / T)`` (Arivazhagan et al. 2019): T = 1 equals ``size``, T = 2 equals ``sqrt``, and a
large T approaches ``uniform``.

With ``negative_sample_rate``, an epoch leaves out the rest of the negatives, which are the rows
whose labels are all zero. The third place of Jigsaw Unintended Bias (Kaggle 2019) dropped another
half of them in each epoch.
"""

from __future__ import annotations

import numpy as np

from auxfold.config import Train
from auxfold.data.batches import bucket_by_length, training_steps


def allocate_rows(settings: Train, sizes: np.ndarray) -> np.ndarray:
    """``(sources,)`` int, the rows of each source in an epoch; their sum is that of ``sizes``.

    Shares are rounded by largest remainder. A source without rows gets none.

    Args:
        settings: ``[train]``, which names the sampling of sources.
        sizes: ``(sources,)`` int, the rows that each source has.
    """
    sizes = np.asarray(sizes)
    exponents = {"size": 1.0, "sqrt": 0.5, "uniform": 0.0, "temperature": 1 / settings.temperature}
    shares = np.where(sizes > 0, sizes.astype(np.float64) ** exponents[settings.sampling], 0.0)
    exact = sizes.sum() * shares / shares.sum()
    if settings.sampling == "size":
        exact = sizes  # exactly, without rounding errors
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: sizes.sum() - counts.sum()]] += 1
    return counts


def allocate_rows_by_label(
    settings: Train, sources: np.ndarray, negatives: np.ndarray | None
) -> np.ndarray:
    """``(sources, 2)`` int, the rows of each source in an epoch: not sampled rows, then negatives.

    Args:
        settings: ``[train]``, the sampling of sources and ``negative_sample_rate``.
        sources: ``(rows,)`` int, the source of each row.
        negatives: ``(rows,)`` bool, the rows that are sampled by ``negative_sample_rate``; None:
            no row.
    """
    counts = allocate_rows(settings, np.bincount(sources))
    if negatives is None:
        return np.stack([counts, np.zeros_like(counts)], axis=1)
    n_negative = np.bincount(sources[negatives], minlength=len(counts))
    # Rounded up, so that two epochs of one half each have every row.
    n_sampled = np.ceil(settings.negative_sample_rate * n_negative - 1e-9).astype(int)
    return np.stack([counts - n_negative, n_sampled], axis=1)


def sample_epoch_indices(
    settings: Train,
    sources: np.ndarray,
    seed: int,
    epoch: int,
    negatives: np.ndarray | None = None,
) -> np.ndarray:
    """The sorted indices of an epoch's rows; a row that comes several times is repeated.

    Within a source every row comes equally often, or once more. The rows that come once more are
    the next ones of a fixed random order, so that no row comes much more often than another over
    the epochs either. The same holds among the negatives of a source.

    Args:
        settings: ``[train]``, the sampling of sources and ``negative_sample_rate``.
        sources: ``(rows,)`` int, the source of each row.
        seed: of the random orders.
        epoch: the number of the epoch, from 0.
        negatives: ``(rows,)`` bool, the rows that are sampled by ``negative_sample_rate``; None:
            no row.
    """
    is_negative = np.zeros(len(sources), dtype=bool) if negatives is None else negatives
    repeats = np.zeros(len(sources), dtype=int)
    for source, counts in enumerate(allocate_rows_by_label(settings, sources, negatives)):
        for label, (stream, count) in enumerate(zip((2, 4), counts, strict=True)):
            indices = np.flatnonzero((sources == source) & (is_negative == label))
            if len(indices) == 0:
                continue
            repeats[indices], n_extra = divmod(int(count), len(indices))
            order = np.random.default_rng([seed, source, stream]).permutation(indices)
            window = np.arange(epoch * n_extra, (epoch + 1) * n_extra) % len(indices)
            repeats[order[window]] += 1
    return np.repeat(np.arange(len(sources)), repeats)


def epoch_steps(
    lengths: np.ndarray,
    sources: np.ndarray | None,
    settings: Train,
    seed: int,
    epoch: int,
    negatives: np.ndarray | None = None,
) -> list[np.ndarray]:
    """The indices of every optimizer step of an epoch, reproducible from seed and epoch.

    Args:
        lengths: ``(rows,)`` tokens of the training rows.
        sources: ``(rows,)`` int, the source of each row; None: all rows have one source.
        settings: ``[train]``, the batch size, the length buckets, the sampling, and whether steps
            are homogeneous.
        seed: of all random choices.
        epoch: the number of the epoch, from 0.
        negatives: ``(rows,)`` bool, the rows that are sampled by ``negative_sample_rate``; None:
            no row.
    """
    batch_size, bucket_steps = settings.batch_size, settings.length_bucket_steps
    if sources is None and negatives is None:
        return training_steps(lengths, batch_size, bucket_steps, seed, epoch)
    sources = np.zeros(len(lengths), dtype=int) if sources is None else sources
    indices = sample_epoch_indices(settings, sources, seed, epoch, negatives)
    if settings.batches == "mixed":
        positions = training_steps(lengths[indices], batch_size, bucket_steps, seed, epoch)
        return [indices[step] for step in positions]
    random = np.random.default_rng([seed, epoch, 3])
    steps: list[np.ndarray] = []
    for source in np.unique(sources[indices]):
        members = indices[sources[indices] == source]
        positions = bucket_by_length(lengths[members], batch_size, bucket_steps, random)
        steps += [members[step] for step in positions]
    return [steps[i] for i in random.permutation(len(steps))]


def epoch_rows_per_source(
    settings: Train, n_rows: int, sources: np.ndarray | None, negatives: np.ndarray | None
) -> np.ndarray:
    """``(sources,)`` int, the rows of each source in an epoch.

    Args:
        settings: ``[train]``, the sampling of sources and ``negative_sample_rate``.
        n_rows: the number of training rows.
        sources: ``(rows,)`` int, the source of each row; None: all rows have one source.
        negatives: as in :func:`epoch_steps`.
    """
    sources = np.zeros(n_rows, dtype=int) if sources is None else sources
    return allocate_rows_by_label(settings, sources, negatives).sum(axis=1)


def steps_per_epoch(
    settings: Train,
    n_rows: int,
    sources: np.ndarray | None = None,
    negatives: np.ndarray | None = None,
) -> int:
    """Number of optimizer steps in an epoch. The last one may be smaller.

    With homogeneous steps, the last one of each source may be smaller. The arguments are those of
    :func:`epoch_rows_per_source`.
    """
    counts = epoch_rows_per_source(settings, n_rows, sources, negatives)
    if settings.batches == "mixed":
        counts = counts.sum()
    return int((-(-counts // settings.batch_size)).sum())
