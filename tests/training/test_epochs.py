"""The rows of an epoch, and the steps that they make."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from auxfold.config import Train
from auxfold.training.epochs import EpochPlan

INDICES = np.arange(100, 160)
SOURCES = np.repeat([0, 1], [45, 15])
NEGATIVES = np.arange(60) % 3 > 0


@pytest.mark.parametrize(
    ("sources", "negatives", "settings", "n_rows"),
    [
        (None, None, {}, 60),
        (SOURCES, None, {"sampling": "uniform"}, 60),
        (SOURCES, None, {"batches": "homogeneous"}, 60),
        (None, NEGATIVES, {"negative_sample_rate": 0.5}, 40),
    ],
)
def test_the_rows_of_an_epoch_are_those_of_its_steps(sources, negatives, settings, n_rows):
    dataset = SimpleNamespace(lengths=lambda: np.arange(200) % 7 + 2, symmetric_pairs=False)
    plan = EpochPlan(Train(batch_size=8, **settings), 3, dataset, INDICES, sources, negatives)
    for epoch in (0, 1):
        rows = plan.rows(epoch)
        assert sorted(rows) == sorted(np.concatenate(plan.steps(epoch)))
        assert len(rows) == plan.rows_per_epoch == n_rows
    if negatives is not None:
        dropped = set(INDICES) - set(plan.rows(0))
        assert dropped <= set(INDICES[negatives]), "only negatives are left out"
        assert dropped <= set(plan.rows(1)), "and they come in the next epoch"


def test_a_plan_without_tokens_knows_rows_but_no_steps():
    plan = EpochPlan(Train(batch_size=8), 3, None, INDICES)
    assert plan.rows(0) is INDICES
    assert plan.steps_per_epoch == 8
    assert plan.swapped(0) is None
    with pytest.raises(AssertionError, match="lengths of rows"):
        plan.steps(0)
