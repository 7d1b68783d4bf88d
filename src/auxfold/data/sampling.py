"""How often rows of each source come in an epoch, and which rows make an optimizer step.

An epoch always has as many rows as the training data; the shares of the sources are the
setting. ``size`` keeps them as they are; ``temperature`` T gives shares proportional to
``size ** (1 / T)`` (Arivazhagan et al. 2019): T = 1 is ``size``, T = 2 is ``sqrt``, and the
larger T, the nearer to ``uniform``. Under ``negative_sample_rate`` an epoch leaves out the rest of the
negatives, the rows whose labels are all zero (as the 3rd place of Jigsaw Unintended Bias, Kaggle
2019, who dropped another half in each epoch).
"""

from __future__ import annotations

import numpy as np

from auxfold.config import Train
from auxfold.data.batches import steps_by_length, training_steps


def epoch_rows_per_source(settings: Train, sizes: np.ndarray) -> np.ndarray:
    """``(sources,)`` int: rows of each source in an epoch; their sum is that of ``sizes``.

    Shares are rounded by largest remainder. A source without rows gets none.
    """
    sizes = np.asarray(sizes)
    exponents = {"size": 1.0, "sqrt": 0.5, "uniform": 0.0, "temperature": 1 / settings.temperature}
    shares = np.where(sizes > 0, sizes.astype(np.float64) ** exponents[settings.sampling], 0.0)
    exact = sizes.sum() * shares / shares.sum()
    if settings.sampling == "size":
        exact = sizes  # itself, not its rounding
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: sizes.sum() - counts.sum()]] += 1
    return counts


def rows_per_part(settings: Train, sources: np.ndarray, negatives: np.ndarray | None) -> np.ndarray:
    """``(sources, 2)`` int: rows of an epoch by source, those that always come and the negatives.

    Args:
        settings: sampling of sources, share of negatives.
        sources: ``(rows,)`` int.
        negatives: ``(rows,)`` bool, the rows of which an epoch has ``negative_sample_rate``; None: none.
    """
    counts = epoch_rows_per_source(settings, np.bincount(sources))
    if negatives is None:
        return np.stack([counts, np.zeros_like(counts)], axis=1)
    n_negative = np.bincount(sources[negatives], minlength=len(counts))
    # Rounded up, so that two epochs of one half each have every row.
    kept = np.ceil(settings.negative_sample_rate * n_negative - 1e-9).astype(int)
    return np.stack([counts - n_negative, kept], axis=1)


def drawn_rows(
    settings: Train,
    sources: np.ndarray,
    seed: int,
    epoch: int,
    negatives: np.ndarray | None = None,
) -> np.ndarray:
    """The places of an epoch's rows, in order; a place stands there as often as its row comes.

    Within a source every row comes equally often, or once more: those that come once more are
    the next ones of a fixed random order, so that over the epochs, too, no row comes much more
    often than another. The same holds among a source's negatives.
    """
    negative = np.zeros(len(sources), dtype=bool) if negatives is None else negatives
    times = np.zeros(len(sources), dtype=int)
    for source, counts in enumerate(rows_per_part(settings, sources, negatives)):
        for kind, (stream, count) in enumerate(zip((2, 4), counts, strict=True)):
            places = np.flatnonzero((sources == source) & (negative == kind))
            if len(places) == 0:
                continue
            times[places], once_more = divmod(int(count), len(places))
            order = np.random.default_rng([seed, source, stream]).permutation(places)
            window = np.arange(epoch * once_more, (epoch + 1) * once_more) % len(places)
            times[order[window]] += 1
    return np.repeat(np.arange(len(sources)), times)


def epoch_steps(
    lengths: np.ndarray,
    sources: np.ndarray | None,
    settings: Train,
    seed: int,
    epoch: int,
    negatives: np.ndarray | None = None,
) -> list[np.ndarray]:
    """The places of every optimizer step's rows, reproducible from seed and epoch.

    Args:
        lengths: ``(rows,)`` tokens of the training rows.
        sources: ``(rows,)`` their sources; None: all of one.
        settings: batch size, window, sampling, and whether steps are pure.
        seed: of all random choices.
        epoch: which epoch, from 0.
        negatives: ``(rows,)`` bool, the rows of which an epoch has ``negative_sample_rate``; None: none.
    """
    batch_size, window = settings.batch_size, settings.length_bucket_steps
    if sources is None and negatives is None:
        return training_steps(lengths, batch_size, window, seed, epoch)
    sources = np.zeros(len(lengths), dtype=int) if sources is None else sources
    drawn = drawn_rows(settings, sources, seed, epoch, negatives)
    if settings.batches == "mixed":
        plan = training_steps(lengths[drawn], batch_size, window, seed, epoch)
        return [drawn[places] for places in plan]
    random = np.random.default_rng([seed, epoch, 3])
    steps: list[np.ndarray] = []
    for source in np.unique(sources[drawn]):
        own = drawn[sources[drawn] == source]
        steps += [own[p] for p in steps_by_length(lengths[own], batch_size, window, random)]
    return [steps[i] for i in random.permutation(len(steps))]


def rows_of_epoch(
    settings: Train, n_rows: int, sources: np.ndarray | None, negatives: np.ndarray | None
) -> np.ndarray:
    """``(sources,)`` int: rows of each source in an epoch."""
    sources = np.zeros(n_rows, dtype=int) if sources is None else sources
    return rows_per_part(settings, sources, negatives).sum(axis=1)


def steps_per_epoch(
    settings: Train,
    n_rows: int,
    sources: np.ndarray | None = None,
    negatives: np.ndarray | None = None,
) -> int:
    """Optimizer steps of one epoch; the last one (of each source, if pure) may be smaller."""
    counts = rows_of_epoch(settings, n_rows, sources, negatives)
    if settings.batches == "mixed":
        counts = counts.sum()
    return int((-(-counts // settings.batch_size)).sum())
