"""What the command writes and prints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auxfold.blending.options import METHODS
from auxfold.tasks.metrics import roc_auc
from commands import run_script
from fake_runs import write_three_runs


def test_the_command_prints_stores_and_chooses(competition, capsys):
    write_three_runs()
    run_script("blend", "--runs", "a,outputs/b,c", "--name", "mix", "--draws", "50")
    printed = capsys.readouterr().out
    assert "3 runs, 150 rows, main/auc (higher is better); labels and folds of a" in printed
    assert "correlation of run" in printed and "95 % interval" in printed
    record = json.loads(Path("outputs/mix/blend.json").read_text())
    assert list(record["methods"]) == list(METHODS)
    nested = {name: scores["nested"] for name, scores in record["methods"].items()}
    assert nested[record["method"]] == max(nested.values())
    assert [m["path"] for m in record["members"]] == ["outputs/a", "outputs/b", "outputs/c"]
    low, gain, high = (record["methods"][record["method"]][k] for k in ("low", "gain", "high"))
    assert low <= gain <= high
    oof = pd.read_parquet("outputs/mix/oof.parquet").set_index("id")
    labels = pd.read_csv("train.csv").set_index("id")["toxic"]
    assert list(oof.columns) == ["fold", "toxic", "toxic__label"]
    assert set(oof.index) == set(labels.index)
    np.testing.assert_array_equal(oof["toxic__label"], labels.loc[oof.index].astype("float32"))
    score = roc_auc(labels.to_numpy(), oof.loc[labels.index, "toxic"].to_numpy())
    assert score == pytest.approx(nested[record["method"]])
    first = Path("outputs/mix/blend.json").read_bytes()
    run_script("blend", "--runs", "a,b,c", "--name", "mix", "--draws", "50")
    assert Path("outputs/mix/blend.json").read_bytes() == first, "the same again"
