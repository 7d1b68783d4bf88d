"""Comparisons of functions: the kinds that consist of parts, on few rows."""

from __future__ import annotations

import json

import pytest

from benchmarks import evaluate, folds, load, metric
from benchmarks.parts import Part, parts_record, summarize_part, time_part

SHORT = ["--rows", "400", "--repetitions", "1", "--json"]


def run_kind(main, capsys) -> dict:
    main(SHORT)
    output = capsys.readouterr().out
    assert output.count("\n") == 1
    record = json.loads(output)
    assert all(part["case"]["rows"] == 400 for part in record["parts"])
    return record


def test_a_part_without_a_baseline_has_no_ratio():
    calls: list[str] = []
    part = Part("ours", lambda: calls.append("a"), "theirs", lambda: calls.append("b"))
    assert list(time_part(part, 5, repetitions=2)["medians"]) == [
        "auxfold_seconds", "baseline_seconds"
    ]  # fmt: skip
    assert "".join(calls) == "ababba", "one call of each warms up"
    assert time_part(Part("ours", lambda: None), 5, 1)["ratios"] == {}


def test_the_ratio_is_that_of_the_medians():
    seconds = {"auxfold": [1.0, 2.0, 9.0], "baseline": [8.0, 4.0, 1.0]}
    part = summarize_part("x", 5, "other", seconds)
    assert part["ratios"] == {"baseline": 2.0}
    record = parts_record("metric", 0, [], [part])
    assert record["ratios"] == {"x": 2.0}


def test_metrics(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    record = run_kind(metric.main, capsys)
    assert list(record["ratios"]) == list(metric.BASELINES)


def test_a_metric_that_disagrees_is_noticed():
    labels, scores = metric.generate_scores(100, seed=0)
    with pytest.raises(AssertionError, match="auc is 0.5, but 0.9"):
        metric.compare("auc", lambda *_: 0.5, metric.BASELINES["auc"], labels, scores)


def test_evaluation(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    record = run_kind(evaluate.main, capsys)
    assert list(record["ratios"]) == ["metrics of all rows and of every fold"]
    assert len(record["parts"]) == 4


def test_folds(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    record = run_kind(folds.main, capsys)
    assert len(record["ratios"]) == 2
    assert len(set(folds.number_texts(400, 0))) == 400


def test_tables(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    record = run_kind(load.main, capsys)
    assert len(record["parts"]) == 2
    assert all(part["case"]["baseline"] == "pandas.read_csv" for part in record["parts"])
