"""The metric of Jigsaw Unintended Bias in Toxicity Classification (Kaggle, 2019).

The metric has three areas under the ROC curve per identity (Borkan et al. 2019, *Nuanced metrics
for measuring unintended bias with real data for text classification*). The rows that mention the
identity are its subgroup, and all others are the background:

- ``subgroup``: the subgroup's positive rows against its negative ones.
- ``bpsn``: background positive, subgroup negative. Low: harmless mentions are taken for toxic.
- ``bnsp``: background negative, subgroup positive. Low: toxic mentions are overlooked.

``score`` is the mean of the overall area and the power means of the three families over the
identities. The power is -5, so that the worst identity counts most.

The rules are those of the competition's kernel. A label and an identity count from 0.5 on (``>=``).
A row that nobody annotated for an identity belongs to its background. Where the kernel leaves it
open, these rules hold: An area that lacks one of its sides is None and is left out of its power
mean. A family without any area is None, and then the score is None too. Every area is None where a
prediction is NaN. Nothing is ever NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from auxfold.config import BIAS, BIAS_FAMILIES

POWER = -5.0


@dataclass(frozen=True)
class IdentityAreas:
    """One identity: its rows, how many of them are positive, and its three areas.

    An undefined area is None.
    """

    name: str
    rows: int
    positive: int
    subgroup: float | None
    bpsn: float | None
    bnsp: float | None


@dataclass(frozen=True)
class Bias:
    """The metric and its parts; an undefined part is None.

    Attributes:
        rows: number of rows with a label.
        positive: number of rows with a label of at least 0.5.
        overall: the area over all rows with a label.
        identities: in the order of the identity columns.
        subgroup: power mean over the identities with an area.
        bpsn: the same for the second family of areas.
        bnsp: the same for the third family of areas.
        score: the mean of the overall area and the three power means.
    """

    rows: int
    positive: int
    overall: float | None
    identities: tuple[IdentityAreas, ...]
    subgroup: float | None
    bpsn: float | None
    bnsp: float | None
    score: float | None

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Bias:
        """The metric from the dictionary of ``dataclasses.asdict``, as in ``cv.json``."""
        identities = tuple(IdentityAreas(**areas) for areas in record["identities"])
        return cls(**{**record, "identities": identities})

    def metrics(self) -> dict[str, float | None]:
        """``jigsaw_bias/score``, ``/overall``, ``/<family>`` and ``/<family>/<identity>``."""
        metrics = {f"{BIAS}/{part}": getattr(self, part) for part in ("score", "overall")}
        metrics |= {f"{BIAS}/{family}": getattr(self, family) for family in BIAS_FAMILIES}
        for family in BIAS_FAMILIES:
            metrics |= {f"{BIAS}/{family}/{i.name}": getattr(i, family) for i in self.identities}
        return metrics


def jigsaw_bias(
    labels: np.ndarray, scores: np.ndarray, identities: np.ndarray, names: Sequence[str]
) -> Bias:
    """The bias metric. Sorts the scores once and counts all areas from the sorted rows.

    Args:
        labels: ``(rows,)`` in [0, 1]; NaN rows are left out.
        scores: ``(rows,)`` any monotone score.
        identities: ``(rows, len(names))`` in [0, 1], NaN where not annotated.
        names: the names of the identities.
    """
    is_labeled = ~np.isnan(labels)
    if not is_labeled.all():
        labels, scores, identities = labels[is_labeled], scores[is_labeled], identities[is_labeled]
    positive, members = labels >= 0.5, identities >= 0.5
    ranking = None if np.isnan(scores).any() else _Ranking(positive, scores)
    overall = ranking.overall_area() if ranking else None
    by_identity = []
    for name, member in zip(names, members.T, strict=True):
        indices = np.flatnonzero(member)
        areas = ranking.identity_areas(indices) if ranking else (None, None, None)
        n_positive = int(positive[indices].sum())
        by_identity.append(IdentityAreas(name, len(indices), n_positive, *areas))
    subgroup, bpsn, bnsp = (
        power_mean([getattr(areas, family) for areas in by_identity]) for family in BIAS_FAMILIES
    )
    parts = [part for part in (overall, subgroup, bpsn, bnsp) if part is not None]
    return Bias(
        rows=len(labels),
        positive=int(positive.sum()),
        overall=overall,
        identities=tuple(by_identity),
        subgroup=subgroup,
        bpsn=bpsn,
        bnsp=bnsp,
        score=float(np.mean(parts)) if len(parts) == 4 else None,
    )


def power_mean(values: Sequence[float | None], power: float = POWER) -> float | None:
    """``mean(value ** power) ** (1 / power)`` of the values that are not None.

    The mean is None where all values are None. It is zero where one of them is zero, which is the
    limit under a negative power.
    """
    defined = np.array([value for value in values if value is not None])
    if not len(defined) or not defined.all():
        return 0.0 if len(defined) else None
    minimum = defined.min()  # no power overflows after the division by it
    return float(minimum * np.mean((defined / minimum) ** power) ** (1 / power))


class _Ranking:
    """Rows by rising score. Won pairs count twice and ties once, so that counts are integers.

    Args:
        positive: ``(rows,)`` bool.
        scores: ``(rows,)`` without NaN.
    """

    def __init__(self, positive: np.ndarray, scores: np.ndarray) -> None:
        order = np.argsort(scores)
        sorted_scores = scores[order]
        self.ranks = np.empty_like(order)  # the position of each row in the order
        self.ranks[order] = np.arange(len(order))
        self.positive = positive[order]
        ties = np.cumsum(sorted_scores[1:] != sorted_scores[:-1])
        # The number of the run of equal scores that a row is in.
        self.ties = np.concatenate([np.zeros(min(1, len(order)), dtype=int), ties])
        self.n_positive = int(positive.sum())
        self.n_negative = len(positive) - self.n_positive
        self.above_negatives = _twice_below(~self.positive, self.ties)
        self.above_positives = _twice_below(self.positive, self.ties)

    def overall_area(self) -> float | None:
        """The area over all rows."""
        twice_won = int(self.above_negatives[self.positive].sum())
        return _area(twice_won, self.n_positive, self.n_negative)

    def identity_areas(
        self, indices: np.ndarray
    ) -> tuple[float | None, float | None, float | None]:
        """``subgroup``, ``bpsn`` and ``bnsp`` of the subgroup with these row numbers.

        The pairs with the background are those with all rows less those within the subgroup.
        """
        ranks = np.sort(self.ranks[indices])
        positive = self.positive[ranks]
        n_positive = int(positive.sum())
        n_negative = len(ranks) - n_positive
        within = int(_twice_below(~positive, self.ties[ranks])[positive].sum())
        over_all_negatives = int(self.above_negatives[ranks[positive]].sum())
        under_all_positives = 2 * self.n_positive * n_negative - int(
            self.above_positives[ranks[~positive]].sum()
        )
        return (
            _area(within, n_positive, n_negative),
            _area(under_all_positives - within, self.n_positive - n_positive, n_negative),
            _area(over_all_negatives - within, n_positive, self.n_negative - n_negative),
        )


def _twice_below(mask: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """``(rows,)``: twice the rows of the mask with a lower score, plus those with an equal score.

    Args:
        mask: ``(rows,)`` bool, by rising score.
        ties: ``(rows,)`` rising numbers, equal where scores are equal.
    """
    if not len(mask):
        return np.zeros(0, dtype=np.int64)
    starts = np.flatnonzero(np.diff(ties, prepend=ties[0] - 1))
    bounds = np.append(starts, len(mask))
    before = np.concatenate([[0], np.cumsum(mask)])
    return np.repeat(before[bounds[:-1]] + before[bounds[1:]], np.diff(bounds))


def _area(twice_won: int, n_positive: int, n_negative: int) -> float | None:
    return twice_won / (2 * n_positive * n_negative) if n_positive and n_negative else None
