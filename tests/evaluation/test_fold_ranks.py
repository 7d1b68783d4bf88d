"""A score over all rows is compared with the folds, and with ranks within them."""

from __future__ import annotations

import numpy as np
import pytest

from auxfold.evaluation.cross_validation import mean_and_std
from auxfold.evaluation.fold_ranks import (
    disagreeing_metrics,
    needs_only_order,
    rank_within_folds,
    scores_of_fold_ranks,
)
from auxfold.evaluation.score_notes import fold_scale_notes
from auxfold.evaluation.scores import evaluate_rows
from auxfold.tasks import TaskSet
from conftest import make_experiment
from fake_runs import make_labeled_table


def make_tasks(kind: str = "binary") -> TaskSet:
    task = {"name": "t", "kind": kind, "columns": ["y"]}
    return TaskSet.from_experiment(make_experiment("t", "b", tasks=[task]))


def score_record(tasks, table, predictions, folds) -> dict:
    per_fold = [
        evaluate_rows(tasks, table, folds == fold, {"t": predictions["t"][folds == fold]}).metrics
        for fold in np.unique(folds)
    ]
    oof = evaluate_rows(tasks, table, np.arange(len(folds)), predictions).metrics
    return {"oof": oof, "folds": per_fold, **mean_and_std(per_fold)}


def test_ranks_by_hand():
    values = np.array([[0.9, 5.0], [0.1, 5.0], [0.2, 1.0], [0.3, 2.0], [0.3, 0.0]])
    ranked = rank_within_folds({"t": values}, np.array([0, 0, 1, 1, 1]))["t"]
    # Of two rows: ranks 2 and 1, and a tie. Of three: 1, 2.5, 2.5 and 2, 3, 1. Less 1/2, by rows.
    expected = [[0.75, 0.5], [0.25, 0.5], [0.5 / 3, 1.5 / 3], [2 / 3, 2.5 / 3], [2 / 3, 0.5 / 3]]
    np.testing.assert_allclose(ranked, expected)


def test_folds_of_different_scales_mislead_the_score_of_all_rows():
    """1 % positives: every fold ranks them well, the fold of small predictions below the other."""
    random, rows = np.random.default_rng(0), 20_000
    folds, labels = np.arange(rows) % 2, (np.arange(rows) % 200 < 2) * 1.0
    logits = 1.8 * labels + random.normal(size=rows) + 4.0 * folds
    predictions = {"t": (1 / (1 + np.exp(-logits)))[:, None]}
    tasks, table = make_tasks(), make_labeled_table(labels)
    record = score_record(tasks, table, predictions, folds)
    assert record["oof"]["t/auc"] == pytest.approx(0.70, abs=0.02)
    assert record["mean"]["t/auc"] == pytest.approx(0.90, abs=0.02)
    ranked = scores_of_fold_ranks(tasks, table, predictions, folds, record)
    assert set(ranked) == {"t/auc", "t/ap"}, "log loss and others need more than the order"
    assert ranked["t/auc"] == pytest.approx(record["mean"]["t/auc"], abs=0.005)
    (line,) = fold_scale_notes({**record, "rank_within_folds": ranked})
    assert line.startswith(
        "the folds' predictions have different scales, which misleads scores over all rows: t/auc "
        f"{record['oof']['t/auc']:.4f} (mean of the folds {record['mean']['t/auc']:.4f}, ranks "
        f"within folds {ranked['t/auc']:.4f}), t/ap "
    )


def test_folds_of_one_scale_have_no_other_score():
    random, rows = np.random.default_rng(0), 4000
    folds, labels = np.arange(rows) % 2, (np.arange(rows) % 20 < 2) * 1.0
    predictions = {"t": (1.8 * labels + random.normal(size=rows))[:, None]}
    tasks, table = make_tasks(), make_labeled_table(labels)
    record = score_record(tasks, table, predictions, folds)
    assert scores_of_fold_ranks(tasks, table, predictions, folds, record) == {}


@pytest.mark.parametrize(
    ("pooled", "folds", "disagrees"),
    [
        (0.90, [0.906, 0.906], True),
        (0.90, [0.904, 0.904], False),  # not by 0.005
        (0.90, [0.94, 0.88], False),  # the standard error of the mean is 0.03
        (0.90, [0.97, 0.91], True),
        (0.90, [0.95], False),  # one split: both are of the same rows
        (None, [0.95, 0.95], False),
        (0.90, [None, 0.95], False),
    ],
)
def test_pooled_and_mean_disagree_by_more_than_chance(pooled, folds, disagrees):
    per_fold = [{"t/auc": score} for score in folds]
    record = {"oof": {"t/auc": pooled}, "folds": per_fold, **mean_and_std(per_fold)}
    assert disagreeing_metrics(record) == (["t/auc"] if disagrees else [])


def test_metrics_that_need_the_order_only():
    tasks = make_tasks()
    names = ["t/auc", "t/ap/y", "jigsaw_bias/score"]
    assert all(needs_only_order(tasks, name) for name in names)
    others = ["t/log_loss", "t/f1/y", "accuracy", "x/auc", "t/mcrmse"]
    assert not any(needs_only_order(tasks, name) for name in others)


def test_another_reason_than_scale_is_said_to_be_one():
    record = {
        "oof": {"t/ap": 0.5, "t/ap/y": 0.5}, "mean": {"t/ap": 0.6, "t/ap/y": 0.6},
        "rank_within_folds": {"t/ap": 0.54, "t/ap/y": 0.6},
    }  # fmt: skip
    assert fold_scale_notes(record) == [
        "the folds' scores differ from those over all rows, though not by the scale of their "
        "predictions: t/ap 0.5000 (mean of the folds 0.6000, ranks within folds 0.5400)"
    ]
