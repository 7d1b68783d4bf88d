"""Runs are joined by id, and those that do not fit are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from auxfold.blending.single_runs import score_single_runs
from auxfold.tasks.metrics import roc_auc
from commands import refusal_of_script, run_script
from conftest import make_experiment
from fake_runs import TASKS_OF_EACH_KIND, join_fake_runs, write_fake_run, write_three_runs


def test_runs_are_joined_by_id_whatever_their_order_and_folds(competition):
    candidates = join_fake_runs(write_three_runs())
    frame = pd.read_csv("train.csv").set_index("id")
    for number, name in enumerate("abc"):
        pieces = [pd.read_parquet(p) for p in Path(f"outputs/{name}").glob("fold_*/oof.parquet")]
        oof = pd.concat(pieces).set_index("id").loc[frame.index, "toxic"]
        np.testing.assert_array_equal(candidates.predictions["main"][number, :, 0], oof)
        scores = score_single_runs(candidates, list("abc"))[name]
        assert scores["oof"] == roc_auc(frame["toxic"].to_numpy(), oof.to_numpy())
    assert len(np.unique(candidates.folds)) == 4, "the first run's"


def test_shares_of_a_class_are_blended_as_one_target(competition):
    frame = pd.read_csv("train.csv")
    up = np.random.default_rng(0).random(150).round(3)
    frame.assign(up=up, down=1 - up).to_csv("train.csv", index=False)
    tasks = [{"name": "mood", "kind": "multiclass", "columns": ["up", "down"], "main": True}]
    for name, noise in (("a", 2.0), ("b", 2.5)):
        write_fake_run(make_experiment("train.csv", "b", name=name, tasks=tasks), noise, ord(name))
    run_script("blend", "--runs", "a,b", "--metric", "mood/log_loss", "--method", "logit",
               "--draws", "0", "--name", "both")  # fmt: skip
    record = json.loads(Path("outputs/both/blend.json").read_text())
    assert record["weights"] == {"mood": [0.5, 0.5]}
    runs = [
        pd.concat([pd.read_parquet(path) for path in Path(f"outputs/{name}").glob("fold_*/oof.*")])
        .set_index("id")
        .loc[frame["id"], ["up", "down"]]
        .to_numpy()
        for name in "ab"
    ]
    blended = pd.read_parquet("outputs/both/oof.parquet").set_index("id").loc[frame["id"]]
    products = np.sqrt(runs[0] * runs[1])
    expected = products / products.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(blended[["up", "down"]], expected, atol=1e-6)

    def log_loss(shares: np.ndarray) -> float:
        return float(-np.mean(up * np.log(shares[:, 0]) + (1 - up) * np.log(shares[:, 1])))

    assert log_loss(blended[["up", "down"]].to_numpy()) < min(map(log_loss, runs))


def test_runs_that_do_not_fit_are_refused(competition, capsys):
    def refused(*arguments: str) -> str:
        return refusal_of_script(capsys, "blend", *arguments)

    write_three_runs()
    other = pd.read_csv("train.csv").iloc[10:]
    other.to_csv("other.csv", index=False)
    write_fake_run(make_experiment("other.csv", "b", name="fewer"), 1.0, 1)
    error = refused("--runs", "a,fewer")
    assert "of 150 ids it lacks 10 and has 0 others" in error
    assert "of 140 ids it lacks 0 and has 10 others" in refused("--runs", "fewer,a")
    write_fake_run(
        make_experiment("train.csv", "b", name="kinds", tasks=TASKS_OF_EACH_KIND), 1.0, 1
    )
    error = refused("--runs", "a,kinds", "--metric", "aux/auc")
    assert "run kinds does not predict 'insult'" in error
    number = [{"name": "main", "kind": "regression", "columns": ["toxic"]}]
    write_fake_run(make_experiment("train.csv", "b", name="number", tasks=number), 1.0, 1)
    error = refused("--runs", "a,number")
    assert "'toxic' is a regression task in run number and a binary task in a" in error
    classes = [{**TASKS_OF_EACH_KIND[1], "classes": ["bad", "good", "fine", "ugly"], "main": True}]
    write_fake_run(make_experiment("train.csv", "b", name="ugly", tasks=classes), 1.0, 1)
    error = refused("--runs", "ugly,kinds")
    assert "of other classes" in error
    assert not Path("outputs/blend").exists()
