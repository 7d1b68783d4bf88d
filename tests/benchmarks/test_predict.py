"""``python -m benchmarks predict``: ours and the pipeline on the same texts."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import predict


def test_json_has_the_ratio_and_the_share(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = ["--random", "tiny", "--device", "cpu", "--precision", "fp32", "--mean-tokens", "8"]
    options += ["--seconds", "0.1", "--repetitions", "1", "--max-rows", "70", "--json"]
    predict.main(options)
    output = capsys.readouterr().out
    assert output.count("\n") == 1
    record = json.loads(output)
    assert list(record["ratios"]) == ["pipeline", "floor_share"]
    assert record["case"]["rows"] == 64
    seconds = {name: values[0] for name, values in record["seconds"].items()}
    assert record["ratios"]["pipeline"] == pytest.approx(seconds["pipeline"] / seconds["auxfold"])
    share = seconds["matrix_products"] / seconds["tokens"]
    assert record["ratios"]["floor_share"] == pytest.approx(share)
    assert record["medians"]["auxfold_rows_per_second"] == pytest.approx(64 / seconds["auxfold"])


def test_batches_have_rows_of_similar_length():
    batches = predict.length_batches(np.arange(100))
    assert [len(batch) for batch in batches] == [64, 36]
    assert batches[0].min() == 36 and batches[1].max() == 35
