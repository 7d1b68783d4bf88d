"""What is said about few rows, and about a run that is no better than a baseline."""

from __future__ import annotations

import numpy as np

from auxfold.evaluation.score_notes import baseline_notes, few_rows_notes
from auxfold.tasks import TaskSet
from conftest import make_experiment


def notes_of(labels: list[list[float]], **task) -> list[str]:
    settings = {"name": "t", "kind": "binary", "columns": ["y"], **task}
    tasks = TaskSet.from_experiment(make_experiment("t", "b", tasks=[settings]))
    return few_rows_notes(tasks, np.array(labels).T)


def test_few_rows_of_the_main_label():
    rest = "fewer than 30, so that scores are mostly chance"
    assert notes_of([[1.0] * 30 + [0.0] * 70]) == []
    assert notes_of([[0.5] * 29 + [0.4] * 71]) == [f"y has 29 positive rows: {rest}"]
    assert notes_of([[1.0] * 71 + [0.0] * 29]) == [f"y has 29 negative rows: {rest}"]
    numbers = [[1.5] * 29 + [np.nan] * 71]
    assert notes_of(numbers, kind="regression") == [f"y has 29 labeled rows: {rest}"]
    assert notes_of([[0.0, 1.0] * 15], kind="multiclass", classes=["a", "b"]) == []


def test_the_rarest_of_many_labels_come_first():
    columns = [f"c{n}" for n in range(7)]
    labels = [[1.0] * (20 - n) + [0.0] * (80 + n) for n in range(7)]
    (note,) = notes_of(labels, columns=columns)
    assert note.startswith("c6 has 14 positive rows, c5 has 15 positive rows, ")
    assert "c2 has 18 positive rows and 2 more: fewer than 30" in note


def record_of(low: float, high: float, ranked: bool = False) -> dict:
    gain = {"gain": (low + high) / 2, "low": low, "high": high}
    fine = {"gain": 0.3, "low": 0.2, "high": 0.4}
    return {
        "rank_within_folds": {"t/auc": 0.8} if ranked else {},
        "baselines": {
            "run": {"t/auc": 0.8}, "tfidf": {"t/auc": 0.79}, "majority": {"t/auc": 0.5},
            "gains": {"t/auc": {"majority": fine, "tfidf": gain}},
        },
    }  # fmt: skip


def test_no_better_than_a_baseline_in_words():
    assert baseline_notes(record_of(0.001, 0.02)) == []
    assert baseline_notes(record_of(-0.01, 0.03)) == [
        "t/auc is no better than the TF-IDF baseline (0.8000 against 0.7900; 95 % interval of the "
        "gain -0.0100 to +0.0300)"
    ]
    assert baseline_notes(record_of(-0.03, -0.01)) == [
        "t/auc is worse than the TF-IDF baseline (0.8000 against 0.7900; 95 % interval of the "
        "gain -0.0300 to -0.0100)"
    ]
    assert baseline_notes(record_of(-0.01, 0.03, ranked=True)) == [
        "t/auc is no better than the TF-IDF baseline by ranks within folds (95 % interval of the "
        "gain -0.0100 to +0.0300)"
    ]
