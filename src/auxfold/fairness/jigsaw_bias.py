"""The metric of Jigsaw Unintended Bias in Toxicity Classification (Kaggle, 2019).

Per identity three areas under the ROC curve (Borkan et al. 2019, *Nuanced metrics for measuring
unintended bias with real data for text classification*), with the rows that mention the identity
as its subgroup and all others as the background:

- ``subgroup``: the subgroup's positive rows against its negative ones;
- ``bpsn``: background positive, subgroup negative. Low: harmless mentions are taken for toxic;
- ``bnsp``: background negative, subgroup positive. Low: toxic mentions are overlooked.

``score`` is the mean of the overall area and the three families' power means over the identities,
p = -5, in which the worst identity counts most.

Rules, as in the competition's own kernel: a label and an identity count from 0.5 on (``>=``); a row
that nobody annotated for an identity belongs to its background. Where the kernel leaves it open: an
area that lacks one of its sides is None and left out of its power mean; a family without any area,
and then the score, is None; so is everything where a score is NaN. Nothing is ever NaN.
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
    """One identity: its rows, how many of them are positive, and its three areas or None."""

    name: str
    rows: int
    positive: int
    subgroup: float | None
    bpsn: float | None
    bnsp: float | None


@dataclass(frozen=True)
class Bias:
    """The metric and its parts; an undefined one is None.

    Attributes:
        rows: rows with a label.
        positive: those with a label of at least 0.5.
        overall: the area over all of them.
        identities: in the order of the identity columns.
        subgroup: power mean over the identities with an area; ``bpsn`` and ``bnsp`` likewise.
        score: 0.25 each of the overall area and the three power means.
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
    def of_record(cls, record: dict[str, Any]) -> Bias:
        """Back from what ``dataclasses.asdict`` made, and a JSON file kept."""
        identities = tuple(IdentityAreas(**one) for one in record["identities"])
        return cls(**{**record, "identities": identities})

    def metrics(self) -> dict[str, float | None]:
        """``jigsaw_bias/score``, ``/overall``, ``/<family>`` and ``/<family>/<identity>``."""
        made = {f"{BIAS}/{part}": getattr(self, part) for part in ("score", "overall")}
        made |= {f"{BIAS}/{family}": getattr(self, family) for family in BIAS_FAMILIES}
        for family in BIAS_FAMILIES:
            made |= {f"{BIAS}/{family}/{i.name}": getattr(i, family) for i in self.identities}
        return made


def jigsaw_bias(
    labels: np.ndarray, scores: np.ndarray, identities: np.ndarray, names: Sequence[str]
) -> Bias:
    """The metric; the scores are sorted once, and all areas are counted from the sorted rows.

    Args:
        labels: ``(rows,)`` in [0, 1]; NaN rows are left out.
        scores: ``(rows,)`` any monotone score.
        identities: ``(rows, len(names))`` in [0, 1], NaN where not annotated.
        names: what the identities are called.
    """
    known = ~np.isnan(labels)
    if not known.all():
        labels, scores, identities = labels[known], scores[known], identities[known]
    positive, members = labels >= 0.5, identities >= 0.5
    ranked = None if np.isnan(scores).any() else _Ranked(positive, scores)
    overall = ranked.overall() if ranked else None
    told = []
    for name, member in zip(names, members.T, strict=True):
        rows = np.flatnonzero(member)
        areas = ranked.areas(rows) if ranked else (None, None, None)
        told.append(IdentityAreas(name, len(rows), int(positive[rows].sum()), *areas))
    means = [power_mean([getattr(one, family) for one in told]) for family in BIAS_FAMILIES]
    parts = [overall, *means]
    score = None if None in parts else float(np.mean(parts))
    return Bias(len(labels), int(positive.sum()), overall, tuple(told), *means, score)


def power_mean(values: Sequence[float | None], power: float = POWER) -> float | None:
    """``mean(value ** power) ** (1 / power)`` of the values that are not None; None of none.

    Zero where one of them is zero: the limit under a negative power.
    """
    defined = np.array([value for value in values if value is not None])
    if not len(defined) or not defined.all():
        return 0.0 if len(defined) else None
    least = defined.min()  # divided by it, no value's power overflows
    return float(least * np.mean((defined / least) ** power) ** (1 / power))


class _Ranked:
    """Rows by rising score. Won pairs are counted twice, a tie once, so that counts are whole.

    Args:
        positive: ``(rows,)`` bool.
        scores: ``(rows,)`` without NaN.
    """

    def __init__(self, positive: np.ndarray, scores: np.ndarray) -> None:
        order = np.argsort(scores)
        ranked = scores[order]
        self.place = np.empty_like(order)  # of each row in the order
        self.place[order] = np.arange(len(order))
        self.positive = positive[order]
        self.ties = np.cumsum(ranked[1:] != ranked[:-1])  # which run of equal scores a row is in
        self.ties = np.concatenate([np.zeros(min(1, len(order)), dtype=int), self.ties])
        self.positives = int(positive.sum())
        self.negatives = len(positive) - self.positives
        self.above_negatives = _twice_below(~self.positive, self.ties)
        self.above_positives = _twice_below(self.positive, self.ties)

    def overall(self) -> float | None:
        won = int(self.above_negatives[self.positive].sum())
        return _area(won, self.positives, self.negatives)

    def areas(self, rows: np.ndarray) -> tuple[float | None, float | None, float | None]:
        """``subgroup``, ``bpsn`` and ``bnsp`` of the subgroup of the given rows.

        The pairs with the background are those with all rows less those within the subgroup.
        """
        rows = np.sort(self.place[rows])
        positive = self.positive[rows]
        n_positive = int(positive.sum())
        n_negative = len(rows) - n_positive
        within = int(_twice_below(~positive, self.ties[rows])[positive].sum())
        over_all_negatives = int(self.above_negatives[rows[positive]].sum())
        under_all_positives = 2 * self.positives * n_negative - int(
            self.above_positives[rows[~positive]].sum()
        )
        return (
            _area(within, n_positive, n_negative),
            _area(under_all_positives - within, self.positives - n_positive, n_negative),
            _area(over_all_negatives - within, n_positive, self.negatives - n_negative),
        )


def _twice_below(marked: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """``(rows,)`` twice the marked rows with a lower score and once those with an equal one.

    Args:
        marked: ``(rows,)`` bool, by rising score.
        ties: ``(rows,)`` rising numbers, equal where scores are.
    """
    if not len(marked):
        return np.zeros(0, dtype=np.int64)
    starts = np.flatnonzero(np.diff(ties, prepend=ties[0] - 1))
    bounds = np.append(starts, len(marked))
    before = np.concatenate([[0], np.cumsum(marked)])
    return np.repeat(before[bounds[:-1]] + before[bounds[1:]], np.diff(bounds))


def _area(twice_won: int, n_positive: int, n_negative: int) -> float | None:
    return twice_won / (2 * n_positive * n_negative) if n_positive and n_negative else None
