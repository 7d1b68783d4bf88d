"""Prediction files are joined by id and averaged; files that do not fit are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from commands import refusal_of_script, run_script


def test_files_are_joined_by_id_and_averaged(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    first = pd.DataFrame({"id": ["007", "b", "c"], "x": [0.2, 0.9, 0.4], "y": [0.1, 0.2, 0.3]})
    second = pd.DataFrame({"id": ["c", "007", "b"], "y": [0.5, 0.5, 0.6], "x": [0.6, 0.4, 0.1]})
    first.to_csv("a.csv", index=False)
    second.to_csv("b.csv", index=False)
    files = ("--predictions", "a.csv,b.csv", "--output", "out.csv")
    run_script("blend", *files, "--weights", "3,1")
    blended = pd.read_csv("out.csv", dtype={"id": str})
    assert blended.columns.tolist() == ["id", "x", "y"]
    assert blended["id"].tolist() == ["007", "b", "c"]
    np.testing.assert_allclose(blended["x"], [0.25, 0.7, 0.45])
    np.testing.assert_allclose(blended["y"], [0.2, 0.3, 0.35])
    run_script("blend", *files, "--method", "rank")
    blended = pd.read_csv("out.csv", dtype={"id": str})
    np.testing.assert_allclose(blended["x"], [(1 + 2) / 6, (3 + 1) / 6, (2 + 3) / 6])
    run_script("blend", *files, "--method", "power", "--power", "2")
    np.testing.assert_allclose(pd.read_csv("out.csv")["x"][0], np.sqrt((0.04 + 0.16) / 2))

    def refuse(change, expected, *more):
        change(second.copy()).to_csv("b.csv", index=False)
        Path("out.csv").unlink(missing_ok=True)
        assert expected in refusal_of_script(capsys, "blend", *files, *more)
        assert not Path("out.csv").exists()

    refuse(lambda f: f.iloc[1:], "of 3 ids it lacks 1 and has 0 others; missing: 'c'")
    refuse(lambda f: f.assign(id=["c", "c", "b"]), "id 'c' is in more than one row")
    refuse(lambda f: f.drop(columns="y"), "has the columns id, x")
    refuse(lambda f: f.assign(x="good"), "column 'x': 'good' is not a number")
    refuse(lambda f: f.assign(x=1.5), "lies outside 0 to 1", "--method", "logit")
    refuse(lambda f: f, "has 3 numbers for 2 files", "--weights", "1,2,3")
    refuse(lambda f: f, "sum is above zero", "--weights=1,-1")
    refuse(lambda f: f, "files are blended by", "--method", "hill_climbing")
    refuse(lambda f: f, "--power has no effect", "--power", "2")


def test_a_column_of_classes_follows_the_blended_probabilities(work_dir):
    columns = ["id", "toxic", "labels_0", "labels_0_0", "labels_0_1", "labels_0_2"]
    first = [["x", 0.2, "0", 0.6, 0.1, 0.3], ["y", 0.4, "1", 0.2, 0.7, 0.1]]
    second = [["y", 0.8, "2", 0.1, 0.2, 0.7], ["x", 0.6, "2", 0.2, 0.1, 0.7]]
    for name, rows in (("one", first), ("two", second)):
        pd.DataFrame(rows, columns=columns).to_csv(f"{name}.csv", index=False)
    run_script("blend", "--predictions", "one.csv,two.csv", "--weights", "3,1", "--output", "o.csv")
    blended = pd.read_csv("o.csv", dtype={"labels_0": str})
    assert blended.columns.tolist() == columns
    assert blended["labels_0"].tolist() == ["0", "1"], "no mean of class numbers"
    np.testing.assert_allclose(blended["labels_0_0"], [0.5, 0.175])
    np.testing.assert_allclose(blended["toxic"], [0.3, 0.5])


def test_folds_and_labels_of_out_of_fold_files_are_not_averaged(work_dir):
    frame = pd.DataFrame({"id": ["a", "b"], "fold": [0, 1], "x": [0.2, 0.6], "x__label": [None, 1]})
    frame.to_csv("a.csv", index=False)
    frame.assign(x=[0.4, 0.8], fold=[1, 0]).to_csv("b.csv", index=False)
    run_script("blend", "--predictions", "a.csv,b.csv", "--output", "out.csv")
    blended = pd.read_csv("out.csv")
    assert blended.columns.tolist() == ["id", "x"]
    np.testing.assert_allclose(blended["x"], [0.3, 0.7])


def test_a_column_of_tags_follows_the_blended_probabilities(work_dir):
    columns = ["id", "topics", "topics_bug", "topics_praise", "toxic"]
    first = [["x", "bug; praise", 0.9, 0.8, 0.1], ["y", "", 0.2, 0.1, 0.3]]
    second = [["y", "bug; praise", 0.9, 0.7, 0.5], ["x", "bug", 0.6, 0.1, 0.5]]
    for name, rows in (("first", first), ("second", second)):
        pd.DataFrame(rows, columns=columns).to_csv(f"{name}.csv", index=False)
    run_script("blend", "--predictions", "first.csv,second.csv", "--output", "o.csv")
    blended = pd.read_csv("o.csv")
    assert blended.columns.tolist() == columns
    np.testing.assert_allclose(blended["topics_bug"], [0.75, 0.55])
    np.testing.assert_allclose(blended["topics_praise"], [0.45, 0.4])
    assert blended["topics"].tolist() == ["bug", "bug"]
