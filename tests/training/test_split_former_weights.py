"""Runs from when ``[sample_weights]`` were fitted on all rows: read with a note, not extended."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from auxfold.blending.members import Member
from auxfold.cli.blend import load_rows
from auxfold.data.loading import read_training_table
from auxfold.data.table import Table
from auxfold.errors import InputError
from auxfold.evaluation.cross_validation import cross_validate
from auxfold.storage.folds import write_folds
from auxfold.storage.records import read_record, write_record
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import TaskSet
from auxfold.training.dry_run import plan_fold
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds, folds_info
from conftest import make_experiment, make_frame
from fake_runs import write_fake_run


def former_table(experiment) -> Table:
    """The table as it was read before, with weights that are fitted on all rows."""
    table = read_training_table(experiment)
    counts = table.scheme_factors["annotators"]
    counts = np.where(np.isnan(counts), np.nanmean(counts), counts)
    weights = table.scheme_factors["identity_strict"] * counts
    weights = (np.float32(1.0) * (weights / weights.mean())).astype(np.float32)
    return replace(table, task_weights={"main": weights}, scheme_factors={})


@pytest.fixture
def experiment(work_dir, monkeypatch):
    """The run of an earlier version, with folds that hold no model."""
    frame = make_frame()
    frame["n"] = np.where(np.arange(60) % 3 == 0, np.nan, np.arange(60) % 7)
    frame.to_csv("train.csv", index=False)
    experiment = make_experiment(
        "train.csv", "none", identities={"columns": ["threat"]},
        sample_weights={"scheme": ["identity_strict", "annotators"], "annotators": "n"},
    )  # fmt: skip
    former = former_table(experiment)
    with monkeypatch.context() as patch:
        patch.setattr(Table, "fingerprint", lambda _: former._fingerprint)
        write_fake_run(experiment, 1.0, 0)
    for name in experiment.folds.names:
        path = RunFolder.of(experiment).fold(name).run
        facts = {"fold": name, "seconds": 1.0, "rows_per_second": 1.0}
        write_record(path, {**read_record(path), **facts, "precision": "fp32", "device": "cpu"})
    return experiment


def test_a_former_run_is_scored_and_blended_with_a_note(experiment, capsys):
    table, folds = create_folds(experiment)
    tasks = TaskSet.from_experiment(experiment)
    record, _ = cross_validate(experiment, tasks, table, folds)
    assert record["rows"] == 60
    note = capsys.readouterr().err
    assert "[sample_weights] on validation rows" in note and note.count("\n") == 1
    of_blend = load_rows(Member.load("tiny"))
    assert (of_blend[1] == folds).all() and capsys.readouterr().err == note


def test_no_fold_is_trained_next_to_those_of_a_former_run(experiment, capsys):
    for start in (train_fold, lambda *args: list(plan_fold(*args))):
        with pytest.raises(InputError, match=r"make new folds with make_folds.py --overwrite"):
            start(experiment, 1)


def test_new_folds_are_those_of_the_rows(experiment, capsys):
    before = create_folds(experiment)[1]
    table, folds = create_folds(experiment, overwrite=True)
    assert (folds == before).all() and table.fingerprint() != former_table(experiment).fingerprint()
    capsys.readouterr()
    create_folds(experiment)
    assert capsys.readouterr().err == ""


def test_other_rows_are_refused_as_ever(experiment):
    info = folds_info(experiment, former_table(experiment))
    table = read_training_table(experiment)
    folder = RunFolder.of(experiment)
    write_folds(folder, table.ids, create_folds(experiment)[1], {**info, "data_fingerprint": "x"})
    with pytest.raises(InputError, match="was made from other rows than train.csv has now"):
        create_folds(experiment)
