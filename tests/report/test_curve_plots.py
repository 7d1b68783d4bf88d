"""Areas by hand, labels with the least area, and no plot that shows nothing."""

from __future__ import annotations

import numpy as np

from auxfold.report.curve_plots import plot_curves, plot_label_curves, thin_out
from auxfold.report.plot import INK

LABELS = np.array([0.0, 1, 1, 0, 1])
SCORES = np.array([0.1, 0.9, 0.4, 0.6, 1.0])
FOLDS = np.array([0, 0, 1, 1, 1])


def test_an_equal_plot_is_an_equal_file():
    first, second = (plot_curves("toxic", LABELS, SCORES, FOLDS, "main") for _ in range(2))
    assert first == second and first.task == "main" and len(first.panels) == 2
    assert all("currentColor" in panel and INK not in panel for panel in first.panels)
    # Of 3 positives and 2 negatives, five of the six pairs are in order.
    assert "area 0.8333" in first.alt


def test_rows_without_a_label_are_left_out():
    labels, scores = np.append(LABELS, np.nan), np.append(SCORES, 0.0)
    plot = plot_curves("toxic", labels, scores, np.append(FOLDS, 0))
    assert plot == plot_curves("toxic", LABELS, SCORES, FOLDS)


def test_a_curve_that_would_show_nothing_is_left_out():
    assert plot_curves("toxic", np.zeros(5), SCORES, FOLDS) is None
    plot = plot_curves("toxic", LABELS, np.full(5, 0.25), FOLDS)
    assert plot.panels == () and plot.alt.startswith("All predictions of toxic are 0.25")


def test_of_many_labels_the_eight_with_the_least_area_have_curves():
    columns = [f"label {number}" for number in range(10)]
    labels = np.tile(LABELS[:, None], 10)
    scores = np.tile(LABELS[:, None], 10) * 0.5 + np.linspace(0, 0.1, 5)[:, None]
    scores[:, 6] = SCORES
    labels[:, 9] = 0.0
    plot = plot_label_curves("main", columns, labels, scores)
    assert plot.title.endswith("the 8 with the smallest area")
    assert plot.alt.startswith("Area under the ROC curve: label 6 0.8333, label 0 1.0000")
    assert "label 9" not in plot.alt
    assert plot_label_curves("main", columns[:1], labels[:, :1], scores[:, :1]) is None


def test_long_curves_are_thinned_out_with_both_ends():
    x = np.linspace(0, 1, 10_000)
    thin_x, thin_y = thin_out(x, x**2, max_points=100)
    assert len(thin_x) <= 102 and (thin_x[0], thin_x[-1], thin_y[-1]) == (0, 1, 1)
