"""One process of a kernel: what it reserves for its prediction, and which rows it predicts."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auxfold.config.experiment import to_toml
from auxfold.data.loading import read_prediction_table
from auxfold.kaggle.training_worker import (
    FoldJob,
    mean_length,
    predict,
    shard_rows,
    train,
    trained_folder,
)
from auxfold.storage.run_folder import RunFolder
from auxfold.training.split import create_folds
from conftest import make_experiment, make_frame


@pytest.fixture
def job(work_dir: Path, backbone: str) -> FoldJob:
    make_frame(11, seed=5)[["id", "text"]].to_csv("test.csv", index=False)
    experiment = make_experiment("train.csv", backbone, data={"test": "test.csv"})
    create_folds(experiment)
    Path("e.toml").write_text(to_toml(experiment))
    now = time.time()
    return FoldJob("e.toml", 0, ["main"], str(work_dir), now, now + 3600, prediction_seconds=0.0)


def test_the_slowest_prediction_so_far_is_reserved(job, capsys):
    """A prediction that took 3,000 seconds leaves none of 3,600, as a fifth is added to it."""
    slow = FoldJob(**{**vars(job), "prediction_seconds": 3000.0})
    train(slow)
    assert "fold 0: 3000 s are reserved to predict 11 rows" in capsys.readouterr().out
    folder = RunFolder(Path("outputs/tiny")).fold(0)
    assert not folder.exists() and folder.state.is_file()
    assert trained_folder(make_experiment("train.csv", "backbone"), 0) == folder.snapshot
    assert folder.snapshot.read_run()["stopped"] == {"rows": 0, "of": 60, "evaluations": 0}
    assert json.loads(slow.times_path.read_text())["prediction"] == 3000.0

    train(job)
    assert folder.exists(), "it goes on from the saved state"
    assert not folder.snapshot.path.exists(), "nobody needs it any more"
    times = json.loads(job.times_path.read_text())
    assert 0 < times["prediction"] < 600 and 0 < times["to_first_evaluation"] < 600
    experiment = make_experiment("train.csv", "backbone")
    assert trained_folder(experiment, 0) == folder
    assert trained_folder(experiment, 1) is None

    for shard in range(2):
        predict(job, shard, 2)
    logits = np.empty((11, 1), dtype=np.float32)
    for shard in range(2):
        logits[shard_rows(11, shard, 2)] = np.load(job.logits_path(shard))
    predict(job, 0, 1)
    np.testing.assert_allclose(np.load(job.logits_path(0)), logits, atol=1e-6)


def test_texts_count_as_long_as_they_are_read(tmp_path):
    path = str(tmp_path / "test.csv")
    pd.DataFrame({"id": ["a", "b"], "text": ["x" * 100, "x" * 9000]}).to_csv(path, index=False)
    experiment = make_experiment(path, "backbone", model={"max_length": 24})
    table = read_prediction_table(experiment, path)
    assert mean_length(experiment, table) == (100 + 8 * 24) / 2
    settings = experiment.model.model_copy(update={"truncation": "windows"})
    windows = experiment.model_copy(update={"model": settings})
    assert mean_length(windows, table) == (100 + 9000) / 2
