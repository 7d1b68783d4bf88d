"""What is a run that can be blended, and what is not."""

from __future__ import annotations

import pytest

from auxfold.blending.members import Member
from auxfold.config.experiment import to_toml
from auxfold.errors import InputError
from auxfold.storage.atomic import write_text
from auxfold.storage.records import write_record
from auxfold.storage.run_folder import RunFolder
from auxfold.training.split import create_folds
from commands import refusal_of_script, run_script
from conftest import make_experiment, make_frame
from fake_runs import write_three_runs


def test_a_blend_is_no_run_and_stale_folds_are_noticed(competition, capsys):
    write_three_runs()
    run_script("blend", "--runs", "a,b", "--method", "mean", "--draws", "0")
    error = refusal_of_script(capsys, "blend", "--runs", "blend,c")
    assert "outputs/blend is a blend" in error
    make_frame(150, seed=3).to_csv("train.csv", index=False)
    assert "other data" in refusal_of_script(capsys, "blend", "--runs", "a,b", "--name", "two")


def test_a_run_with_one_split_is_refused(work_dir, backbone):
    split = {"n_splits": 2, "validation": 20}
    experiment = make_experiment("train.csv", backbone, name="split", folds=split)
    create_folds(experiment)
    folder = RunFolder.of(experiment).fold(0)
    write_text(folder.experiment, to_toml(experiment))
    write_record(folder.run, {"data_fingerprint": "x"})
    with pytest.raises(InputError, match="run split has one split .folds.validation."):
        Member.load("split")
