"""A plot of one dot, or of constant lines, is left out; a sentence says what it would show."""

from __future__ import annotations

from typing import Any

import numpy as np

from auxfold.report.run_plots import (
    plot_fold_ensemble,
    plot_folds,
    plot_label_rates,
    plot_label_scores,
    plot_learning_curves,
    plot_task_weights,
)


def make_record(*scores: float | None) -> dict[str, Any]:
    return {
        "main": "main/auc",
        "oof": {"main/auc": 0.8},
        "mean": {"main/auc": None if None in scores else sum(scores) / len(scores)},
        "folds": [{"main/auc": score} for score in scores],
    }


def make_history(*scores: float | None, weights: list[float] | None = None) -> list[dict]:
    return [
        {
            "epoch": number + 1.0,
            "train_loss": {"main": 0.5 / (number + 1), "aux": 0.5},
            "metrics": None if score is None else {"main/auc": score},
            "task_weighting": {
                "weight": {"main": 1.0, "aux": weights[number] if weights else 0.5},
                "cosine": {"aux": 0.25},
            },
        }
        for number, score in enumerate(scores)
    ]


def test_scores_by_fold_need_two_different_ones():
    assert plot_folds(make_record(0.8)) is None
    assert plot_folds(make_record(0.8, 0.8)) is None
    plot = plot_folds(make_record(0.7, None, 0.9))
    assert plot.alt == "main/auc of each fold: 0.7000, 0.9000." and plot.task == "main"


def test_learning_curves_need_two_evaluations():
    record = make_record(0.7, 0.9)
    plot = plot_learning_curves(record, [make_history(0.7), make_history(0.9)])
    assert plot.panels == () and "train.evaluations_per_epoch" in plot.alt
    plot = plot_learning_curves(record, [make_history(0.6, 0.7), make_history(0.8, 0.9)])
    assert len(plot.panels) == 2 and "at the end 0.7000, 0.9000" in plot.alt


def test_a_panel_of_constant_scores_or_without_scores_is_left_out():
    record = make_record(0.7, 0.7)
    for scores in ((0.7, 0.7), (None, None)):
        plot = plot_learning_curves(record, [make_history(*scores)] * 2)
        assert len(plot.panels) == 1  # the losses


def test_constant_task_weights_are_a_sentence():
    plot = plot_task_weights([make_history(0.6, 0.7)], "main")
    assert plot.panels == ()
    assert plot.alt.startswith("Weight per task at the end: main 1.000, aux 0.500; cosine")
    plot = plot_task_weights([make_history(0.6, 0.7, weights=[0.5, 0.6])], "main")
    assert len(plot.panels) == 1 and "aux 0.600" in plot.alt


def test_an_ensemble_of_one_fold_has_no_plot():
    test = {"metric": "main/auc", "rows": 10, "scores": {"1": [0.7]}}
    assert plot_fold_ensemble(test) is None
    test["scores"] = {"1": [0.7, 0.8], "2": [0.9]}
    assert "1: 0.7500, 2: 0.9000" in plot_fold_ensemble(test).alt


def test_single_labels_have_neither_rates_nor_scores_to_compare():
    labels = np.array([[1.0, 0.0], [0.0, np.nan], [0.0, 1.0], [0.0, 1.0]])
    assert plot_label_rates("main", ["a"], labels[:, :1]) is None
    assert "a 0.250, b 0.667" in plot_label_rates("main", ["a", "b"], labels).alt
    record = {"oof": {"main/auc/a": 0.5, "main/auc/b": None}, "folds": []}
    assert plot_label_scores(record, "main", "auc", ["a", "b"]) is None
