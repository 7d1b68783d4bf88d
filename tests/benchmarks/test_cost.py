"""What training costs against tokens, heads and rows: the sizes, the experiment and the plot."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from benchmarks import cost
from benchmarks.options import Backbone

SHORT = ["--random", "tiny", "--rows", "200,400", "--repetitions", "1", "--steps", "1", "--json"]


def test_every_cost_is_measured_and_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    cost.PLOT.parent.mkdir(parents=True)
    cost.main(SHORT)
    costs = json.loads(capsys.readouterr().out)["costs"]
    assert list(costs["tokens"]) == ["64", "128", "256", "512"]
    assert list(costs["heads"]) == ["1", "7", "40"]
    assert list(costs["rows"]) == ["200", "400"]
    assert all(value > 0 for kind in ("tokens", "heads") for value in costs[kind].values())
    assert list(costs["rows"]["400"]) == [
        "read and store the table", "open it again", "make 5 folds", "out-of-fold scores"
    ]  # fmt: skip
    assert cost.PLOT.read_bytes().startswith(b"\x89PNG")


def test_every_head_is_a_task_with_one_label() -> None:
    args = argparse.Namespace(
        seed=0, max_length=512, pooling="mean", dropout="on", batch_size=8, precision="fp32", set=[]
    )
    experiment = cost.with_heads(args, Backbone("tiny", "tiny"), 7)
    assert [task.label_columns for task in experiment.tasks] == [[f"label_{n}"] for n in range(7)]
    assert [task.main for task in experiment.tasks] == [True] + [False] * 6
    assert experiment.train.batch_size == 8 and experiment.model.max_length == 512
