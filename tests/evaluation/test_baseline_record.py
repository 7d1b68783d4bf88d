"""Two baselines on the folds of a run: their scores, computed once, and what a run gains."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auxfold.evaluation import baseline_record as module
from auxfold.evaluation.baseline_record import (
    baseline_record,
    majority_predictions,
    sample_rows,
)
from auxfold.evaluation.cross_validation import select_held_out
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import TaskSet
from auxfold.training.split import create_folds
from conftest import make_experiment, make_frame

KINDS = [
    {"name": "main", "kind": "binary", "columns": ["toxic", "threat"], "main": True},
    {"name": "mood", "kind": "multiclass", "columns": ["mood"], "classes": ["bad", "good", "odd"]},
    {"name": "stars", "kind": "ordinal", "columns": ["stars"], "classes": ["1", "2", "3"]},
    {"name": "score", "kind": "regression", "columns": ["score"]},
]

AUXILIARY = [{"name": "aux", "kind": "binary", "columns": ["insult", "threat"], "weight": 0.5}]


@pytest.fixture
def frame(work_dir) -> pd.DataFrame:
    """A label of each kind that the word "goose" decides; some are missing."""
    frame = make_frame(120)
    is_goose = frame["toxic"] > 0.5
    frame["mood"] = np.where(is_goose, "bad", "good")
    frame["stars"] = np.where(is_goose, "1", "3")
    frame["score"] = is_goose * 10.0 + np.arange(120) % 2
    frame.loc[::10, ["mood", "stars", "score"]] = np.nan
    frame.to_csv("train.csv", index=False)
    return frame


def record_of(experiment, run=None, lines=None, folds=None) -> dict:
    """The record of a run whose predictions are the labels' means, or ``run``."""
    tasks = TaskSet.from_experiment(experiment)
    table, made_folds = create_folds(experiment)
    folds = made_folds if folds is None else folds
    held_out, _ = select_held_out(table, folds)
    predictions = run or majority_predictions(tasks, held_out.labels)
    oof = tasks.prediction_frame("id", held_out.ids, predictions)
    say = (lambda line: None) if lines is None else lines.append
    return baseline_record(experiment, tasks, table, folds, oof, say=say)


def test_every_kind_has_both_baselines(frame):
    experiment = make_experiment("train.csv", "b", tasks=KINDS)
    record = record_of(experiment)
    assert record["rows"] == 120
    majority, tfidf = record["majority"], record["tfidf"]
    positive = (frame["toxic"] > 0.5).mean()
    assert majority["main/auc"] == 0.5
    assert majority["main/accuracy/toxic"] == pytest.approx(max(positive, 1 - positive))
    share = frame["mood"].value_counts(normalize=True).max()
    assert majority["mood/accuracy"] == majority["stars/accuracy"] == pytest.approx(share)
    assert majority["score/rmse"] == pytest.approx(frame["score"].std(ddof=0), rel=1e-6)
    assert majority["score/spearman"] is None, "a constant has no rank"
    assert tfidf["main/auc/toxic"] > 0.95 and tfidf["mood/accuracy"] > 0.9
    assert tfidf["stars/qwk"] > 0.8 and tfidf["score/rmse"] < 0.8 * majority["score/rmse"]
    assert record["run"] == majority
    gains = record["gains"]
    assert list(gains) == ["main/auc", "mood/accuracy", "stars/qwk", "score/rmse"]
    assert gains["main/auc"]["majority"] == {"gain": 0, "low": 0, "high": 0}
    for metric in ("mood/accuracy", "score/rmse"):
        assert gains[metric]["tfidf"]["high"] < 0, "the run is worse, whichever way the metric goes"


def test_tags_and_shares_have_both_baselines(frame):
    is_goose = (frame["toxic"] > 0.5).to_numpy()
    frame["topics"] = np.where(is_goose, "bird;food", "food")
    frame.loc[::10, "topics"] = "rain"
    frame["up"], frame["down"] = np.where(is_goose, 0.75, 0.25), np.where(is_goose, 0.25, 0.75)
    frame.to_csv("train.csv", index=False)
    tags = {"name": "topics", "kind": "tags", "columns": ["topics"], "cell_format": "separated",
            "tags": ["bird", "food", "rain"], "separator": ";", "main": True}  # fmt: skip
    shares = {"name": "mood", "kind": "multiclass", "columns": ["up", "down"]}
    record = record_of(make_experiment("train.csv", "b", tasks=[tags, shares]))
    majority, tfidf = record["majority"], record["tfidf"]
    n_birds = int((frame["topics"] == "bird;food").sum())
    accuracies = {"bird": max(n_birds, 120 - n_birds) / 120, "food": 0.9, "rain": 0.9}
    for tag, accuracy in accuracies.items():
        assert majority[f"topics/auc/topics_{tag}"] == 0.5
        assert majority[f"topics/accuracy/topics_{tag}"] == pytest.approx(accuracy)
    assert tfidf["topics/auc/topics_bird"] > 0.8
    up = frame["up"].mean()
    entropy = -up * np.log(up) - (1 - up) * np.log(1 - up)
    assert majority["mood/log_loss"] == pytest.approx(entropy, rel=1e-6)
    assert -0.75 * np.log(0.75) - 0.25 * np.log(0.25) < tfidf["mood/log_loss"] < entropy
    assert tfidf["mood/accuracy"] > 0.8 > majority["mood/accuracy"] + 0.1
    assert list(record["gains"]) == ["topics/auc", "mood/accuracy"]
    assert record["gains"]["mood/accuracy"]["tfidf"]["high"] < 0


def test_the_baseline_is_computed_once_for_rows_folds_and_tasks(frame, monkeypatch):
    experiment = make_experiment("train.csv", "b")
    tasks = [{"name": "main", "kind": "regression", "columns": ["toxic"], "main": True}, *AUXILIARY]
    of_numbers, lines = make_experiment("train.csv", "b", tasks=tasks), list[str]()
    first = record_of(experiment, lines=lines)
    assert lines == ["TF-IDF baseline of 120 rows, computed once (--no-baseline leaves it out)"]
    folder = RunFolder.of(experiment)
    stored = pd.read_parquet(folder.baseline)
    assert list(stored.columns) == ["id", "toxic", "insult", "threat"]
    assert stored["id"].tolist() == frame["id"].tolist()
    assert record_of(experiment, lines=lines) == first and len(lines) == 1
    _, folds = create_folds(experiment)
    record_of(experiment, lines=lines, folds=1 - folds)
    assert len(lines) == 2, "other folds"
    record_of(of_numbers, lines=lines)
    assert len(lines) == 3, "other tasks"
    folder.baseline.unlink()
    record_of(of_numbers, lines=lines)
    assert len(lines) == 4, "a lost file"
    monkeypatch.setattr(module, "VERSION", 99)
    record_of(of_numbers, lines=lines)
    assert len(lines) == 5 and json.loads(folder.baseline_info.read_text())["version"] == 99


def test_a_large_table_is_sampled(frame, monkeypatch):
    monkeypatch.setattr(module, "MAX_ROWS", 80)
    record = record_of(make_experiment("train.csv", "b"))
    assert record["rows"] == 80
    assert record["majority"]["main/log_loss"] > 0
    rows = sample_rows(np.zeros(200, dtype=int), columns=1)
    assert len(set(rows)) == 80 and (np.diff(rows) > 0).all()
    monkeypatch.setattr(module, "MAX_LABELS", 300)
    assert len(sample_rows(np.zeros(200, dtype=int), columns=6)) == 50


def test_rows_that_are_only_trained_on_have_no_score(frame):
    experiment = make_experiment("train.csv", "b", folds={"validation": 0.25})
    record = record_of(experiment)
    assert record["rows"] == 30 and 0.5 <= record["tfidf"]["main/auc"] <= 1
    assert Path("outputs/tiny/baseline.parquet").is_file()


def test_gains_of_a_misleading_metric_are_those_of_fold_ranks(frame):
    """A perfect run whose folds have different scales gains over the baseline nevertheless."""
    experiment = make_experiment("train.csv", "b", tasks=[{**KINDS[0], "columns": ["toxic"]}])
    tasks = TaskSet.from_experiment(experiment)
    table, folds = create_folds(experiment)
    run = {"main": 0.2 * (table.labels >= 0.5) + 0.5 * folds[:, None]}
    oof = tasks.prediction_frame("id", table.ids, run)
    pooled = baseline_record(experiment, tasks, table, folds, oof)
    ranked = baseline_record(experiment, tasks, table, folds, oof, ["main/auc"])
    gains = [record["gains"]["main/auc"]["majority"]["gain"] for record in (pooled, ranked)]
    assert gains[0] < 0.4 and gains[1] == pytest.approx(0.5, abs=0.01)
