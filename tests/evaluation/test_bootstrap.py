"""The interval of a gain against one that is known."""

from __future__ import annotations

import numpy as np
import pytest

from auxfold.evaluation.bootstrap import gain_intervals


def test_the_interval_is_the_paired_bootstraps():
    """The mean of a difference: its interval is known."""
    random = np.random.default_rng(0)
    base, better = random.normal(size=(900, 1)), random.normal(0.2, 1.0, size=(900, 1))

    def score(indices, predictions):
        assert len(indices) == len(predictions["t"]) == 900
        return float(predictions["t"].mean())

    blends = [{"t": base + better}, {"t": base + 1.0}]
    (low, high), same = gain_intervals(score, 900, blends, {"t": base}, sign=1, draws=800, seed=1)
    half = 1.96 * better.std() / 30
    assert low == pytest.approx(better.mean() - half, abs=0.015)
    assert high == pytest.approx(better.mean() + half, abs=0.015)
    assert same == pytest.approx((1.0, 1.0)), "what both share cancels"
    flipped = gain_intervals(score, 900, blends[:1], {"t": base}, sign=-1, draws=800, seed=1)[0]
    assert flipped == pytest.approx((-high, -low))
    no_draws = gain_intervals(score, 900, blends, blends[0], sign=1, draws=0, seed=1)
    assert no_draws == [(None, None)] * 2
