"""The submission before any training: the means of the labels, of every kind of task."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auxfold.kaggle.training_submission import TrainingSubmission
from auxfold.training.split import load_training_table
from conftest import make_experiment

LABELS = pd.DataFrame(
    {
        "toxic": [1.0, 0.0, 0.0, np.nan],
        "tone": ["calm", "angry", "calm", "calm"],
        "stars": [1, 2, 3, 3],
        "share": [0.5, 2.5, 3.0, np.nan],
        "topics": ["a", "a b", "", "b"],
    }
)
TAGS = {"tags": ["a", "b"], "cell_format": "separated", "separator": " "}
TONES = ["angry", "calm"]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.chdir(tmp_path)
    rows = LABELS.assign(id=list("abcd"), text="a text")
    rows.to_csv("train.csv", index=False)
    rows.loc[:1, ["id", "text"]].to_csv("test.csv", index=False)
    return {"train": "train.csv", "test": "test.csv"}


@pytest.mark.parametrize(
    ("task", "columns", "expected"),
    [
        ({"kind": "binary", "columns": ["toxic"]}, ["toxic"], [1 / 3]),
        (
            {"kind": "multiclass", "columns": ["tone"], "classes": TONES},
            ["tone_angry", "tone_calm"],
            [0.25, 0.75],
        ),
        ({"kind": "regression", "columns": ["share"]}, ["share"], [2.0]),
        (
            {"kind": "ordinal", "columns": ["stars"], "classes": ["1", "2", "3"]},
            ["stars_1", "stars_2", "stars_3"],
            [0.25, 0.25, 0.5],
        ),
        (
            {"kind": "tags", "columns": ["topics"], **TAGS},
            ["topics_a", "topics_b"],
            [2 / 3, 2 / 3],
        ),
    ],
)
def test_every_row_has_the_mean_of_the_labels(files, task, columns, expected):
    experiment = make_experiment("", "backbone", data=files, tasks=[{"name": "main", **task}])
    submission = TrainingSubmission(experiment, Path("submission.csv"))
    submission.write_means(load_training_table(experiment))
    frame = pd.read_csv("submission.csv")
    assert frame["id"].tolist() == ["a", "b"]
    for column, mean in zip(columns, expected, strict=True):
        np.testing.assert_allclose(frame[column], mean, rtol=1e-4)
