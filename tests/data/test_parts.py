"""A column marks rows to train on, to validate on and to test on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from auxfold.config.experiment import Experiment
from auxfold.data.loading import read_prediction_table, read_training_table
from auxfold.errors import InputError
from auxfold.training.split import create_folds
from conftest import make_experiment, make_frame

WORDS = ["Train", "dev", "TEST ", "training", "validation", "train"]
VALIDATE = {"validation": "data.split"}


def make_split(words=WORDS, rows=12, **changes: object) -> tuple[pd.DataFrame, Experiment]:
    """``train.csv`` with a column ``part``, and an experiment that reads it."""
    frame = make_frame(rows).assign(part=np.resize(words, rows))
    frame.to_csv("train.csv", index=False)
    data = {"train": "train.csv", "split": "part", **changes.pop("data", {})}
    return frame, make_experiment("train.csv", "none", data=data, **changes)


def test_test_rows_are_not_trained_on(work_dir):
    frame, experiment = make_split()
    table = read_training_table(experiment)
    assert table.ids.tolist() == frame["id"][frame["part"] != "TEST "].tolist()
    assert table.path == "train.csv (without its 2 test rows)" and table.held_out is None
    _, folds = create_folds(experiment)
    assert sorted(set(folds)) == [0, 1]  # dev rows are divided like the others


def test_dev_rows_are_validated_on(work_dir):
    frame, experiment = make_split(folds=VALIDATE)
    table, folds = create_folds(experiment)
    is_dev = frame.set_index("id")["part"].isin(["dev", "validation"])
    assert folds.tolist() == np.where(is_dev[table.ids], 0, -1).tolist()
    assert list(experiment.folds.names) == [0]


def test_the_test_rows_of_the_training_file_are_predicted(work_dir):
    frame, experiment = make_split(data={"id": ""})
    assert read_training_table(experiment).ids.tolist() == [*"01345679", "10", "11"]
    assert read_prediction_table(experiment, "train.csv").ids.tolist() == ["2", "8"]
    frame.to_csv("other.csv", index=False)
    assert len(read_prediction_table(experiment, "other.csv")) == 12


def test_sources_are_split_together(work_dir):
    sources = [{"path": "train.csv", "name": "a"}, {"path": "more.csv", "name": "b"}]
    frame, experiment = make_split(folds=VALIDATE, data={"train": sources})
    frame.assign(part="train").to_csv("more.csv", index=False)
    table = read_training_table(experiment)
    assert len(table) == 22 and table.held_out.sum() == 4 and not table.held_out[10:].any()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "extra"], r"train.csv: column 'part', row 2: 'extra' is no part of a split \(6"),
        (["test"], "column 'part' marks every row as test; none is trained on"),
        (["train", "test"], "column 'part' marks no row as dev; leave out folds.validation"),
        (["dev", "test"], "column 'part' marks every row as dev; leave out folds.validation"),
    ],
)
def test_a_split_without_rows_is_refused(work_dir, words, message):
    _, experiment = make_split(words, folds=VALIDATE)
    with pytest.raises(InputError, match=message):
        read_training_table(experiment)


def test_a_training_file_without_test_rows_is_not_predicted(work_dir):
    _, experiment = make_split(["train", "dev"])
    with pytest.raises(InputError, match="column 'part' marks no row as test"):
        read_prediction_table(experiment, "train.csv")


def test_settings_that_contradict_each_other_are_refused(work_dir):
    with pytest.raises(InputError, match="folds.validation = 'data.split' needs data.split"):
        make_experiment("train.csv", "none", folds=VALIDATE)
    with pytest.raises(InputError, match="folds.validation is a file with others"):
        make_split(folds={"validation": "dev.csv"})
