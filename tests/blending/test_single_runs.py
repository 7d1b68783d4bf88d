"""The runs before they are blended."""

from __future__ import annotations

import numpy as np

from auxfold.blending.single_runs import prediction_correlations
from fake_runs import join_fake_runs, write_three_runs


def test_correlations_are_pearsons_mean_over_columns(competition):
    candidates = join_fake_runs(write_three_runs(), "aux/auc")
    correlations = np.array(prediction_correlations(candidates))
    p = candidates.predictions["aux"]
    expected = (np.corrcoef(p[:, :, 0]) + np.corrcoef(p[:, :, 1])) / 2
    np.testing.assert_allclose(correlations, expected)
    candidates.predictions["aux"][1] = 0.5
    assert prediction_correlations(candidates)[0][1] is None
