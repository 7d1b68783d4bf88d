"""The variance of areas under the ROC curve, without sampling.

DeLong, DeLong & Clarke-Pearson 1988, *Comparing the areas under two or more correlated receiver
operating characteristic curves*. An area is a mean over positive rows of the share of negative rows
below them, and the same over negative rows. What a row adds to the area beyond its share is its
contribution. The sum of the squared contributions is the variance of the area, and contributions of
several areas over the same rows can be averaged and subtracted. Placements are counted with two
binary searches, so that a million rows take a second.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

Z = 1.959963984540054  # the 97.5 % quantile of the normal distribution


@dataclass(frozen=True)
class Area:
    """An area, or a mean of areas.

    Attributes:
        value: the area.
        contributions: of each row to it, ``(rows,)``; 0 where not labeled.
    """

    value: float
    contributions: np.ndarray

    def interval(self) -> tuple[float, float]:
        """95 %, on the logit scale, on which it stays between 0 and 1."""
        deviation = _deviation(self.contributions)
        if deviation == 0 or not 0 < self.value < 1:
            return self.value, self.value
        logit = np.log(self.value / (1 - self.value))
        half = Z * deviation / (self.value * (1 - self.value))
        low, high = 1 / (1 + np.exp(-(logit + np.array([-half, half]))))
        return float(low), float(high)

    def gain_interval(self, baseline: Area) -> tuple[float, float]:
        """95 % of the difference to the area of a baseline on the same rows."""
        half = Z * _deviation(self.contributions - baseline.contributions)
        gain = self.value - baseline.value
        return gain - half, gain + half


def mean_area(columns: Iterable[tuple[np.ndarray, np.ndarray]]) -> Area | None:
    """The mean of the areas of several columns, where they are defined.

    The result is None where no column has rows of both classes, or where a column has only one row
    of a class, since one row has no variance.

    Args:
        columns: labels ``(rows,)`` in [0, 1], positive from 0.5, NaN where not labeled; and scores
            ``(rows,)``, of which only the order counts.
    """
    areas = []
    for labels, scores in columns:
        positive, negative = np.flatnonzero(labels >= 0.5), np.flatnonzero(labels < 0.5)
        n_rarer = min(len(positive), len(negative))
        if n_rarer == 1:
            return None
        if n_rarer:
            areas.append(_area(scores, positive, negative))
    if not areas:
        return None
    contributions = np.mean([area.contributions for area in areas], axis=0)
    return Area(float(np.mean([area.value for area in areas])), contributions)


def _area(scores: np.ndarray, positive: np.ndarray, negative: np.ndarray) -> Area:
    of_positive = _share_below(scores[positive], scores[negative])
    of_negative = 1 - _share_below(scores[negative], scores[positive])
    contributions = np.zeros(len(scores))
    for rows, shares in ((positive, of_positive), (negative, of_negative)):
        n = len(rows)
        contributions[rows] = (shares - shares.mean()) / np.sqrt(n * (n - 1))
    return Area(float(of_positive.mean()), contributions)


def _share_below(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The share of ``others`` below each value; equal ones count one half."""
    others = np.sort(others)
    below, up_to = (np.searchsorted(others, values, side) for side in ("left", "right"))
    return (below + up_to) / (2 * len(others))


def _deviation(contributions: np.ndarray) -> float:
    return float(np.sqrt(np.sum(contributions**2)))
