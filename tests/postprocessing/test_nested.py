"""No row takes part in fitting what it is processed by."""

from __future__ import annotations

import numpy as np

from auxfold.postprocessing.nested import apply_nested


def test_each_fold_is_processed_by_what_the_others_gave():
    labels = np.array([1.0, 2.0, 4.0, np.nan, 16.0])
    predictions = np.array([[0.1, 1.0], [0.2, 1.0], [0.3, 1.0], [0.4, 1.0], [0.5, 1.0]])
    folds = np.array([0, 2, 0, 2, 5])
    fitted_on = []

    def fit(labels: np.ndarray, predictions: np.ndarray) -> float:
        fitted_on.append(predictions[:, 0].tolist())
        return float(np.nansum(labels))

    processed = apply_nested(labels, predictions, folds, fit, lambda rows, total: rows + total)
    assert fitted_on == [[0.2, 0.4, 0.5], [0.1, 0.3, 0.5], [0.1, 0.2, 0.3, 0.4]]
    np.testing.assert_allclose(processed[:, 0], [18.1, 21.2, 18.3, 21.4, 7.5])
    np.testing.assert_allclose(processed[:, 1], [19, 22, 19, 22, 8])
