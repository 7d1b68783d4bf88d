"""Down-sampled negatives in training: which rows, how many steps, never in validation."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from auxfold.data.loading import read_training_table
from auxfold.errors import InputError
from auxfold.tasks import TaskSet
from auxfold.training.dry_run import plan_fold
from auxfold.training.fold import train_fold
from auxfold.training.loop import StepTrainer
from auxfold.training.split import all_negative_mask, create_folds
from conftest import assert_resumes_exactly, make_experiment, make_frame


@pytest.fixture
def experiment(work_dir, backbone):
    """60 rows, half of them with only zero labels; a function of ``[train]``."""
    frame = make_frame()
    frame.loc[::2, ["toxic", "insult", "threat"]] = [0.0, np.nan, 0.0]
    frame.to_csv("train.csv", index=False)

    def make(**train):
        settings = {"epochs": 2, "batch_size": 4, "precision": "fp32", **train}
        experiment = make_experiment("train.csv", backbone, train=settings)
        create_folds(experiment)
        return experiment

    return make


def record_steps(monkeypatch) -> list[np.ndarray]:
    """The rows of every step."""
    steps, original = [], StepTrainer.train_step

    def train_step(self, indices):
        steps.append(indices)
        return original(self, indices)

    monkeypatch.setattr(StepTrainer, "train_step", train_step)
    return steps


def negatives_by_hand(labels: np.ndarray) -> np.ndarray:
    return (np.nan_to_num(labels) == 0).all(axis=1)


def test_each_epoch_has_another_half_and_validation_every_row(experiment, monkeypatch):
    halved, steps = experiment(negative_sample_rate=0.5), record_steps(monkeypatch)
    table, folds = create_folds(halved)
    folder = train_fold(halved, 0)
    negative, mine = negatives_by_hand(table.labels), np.flatnonzero(folds != 0)
    n = int(negative[mine].sum())
    assert n == 15
    per_epoch = len(mine) - 15 + 8
    assert len(steps) == 2 * -(-per_epoch // 4), "as many steps as rows that come"
    half = len(steps) // 2
    first, second = np.concatenate(steps[:half]), np.concatenate(steps[half:])
    both = [epoch[negative[epoch]] for epoch in (first, second)]
    assert [len(set(rows)) for rows in both] == [8, 8] == [len(rows) for rows in both]
    assert set(both[0]) | set(both[1]) == set(mine[negative[mine]])
    for epoch in (first, second):
        assert sorted(epoch[~negative[epoch]]) == mine[~negative[mine]].tolist()
    oof = pd.read_parquet(folder.oof)
    assert set(oof["id"]) == set(table.ids[folds == 0]), "no row is left out of validation"
    history = [json.loads(line) for line in folder.history.read_text().splitlines()]
    assert [record["rows"] for record in history] == [per_epoch, 2 * per_epoch]
    assert history[-1]["learning_rate"] == pytest.approx(0.0, abs=1e-9), "the schedule ends"


def test_a_resumed_training_goes_on_with_the_same_halves(experiment, monkeypatch):
    halved = experiment(negative_sample_rate=0.5)
    assert_resumes_exactly(halved, monkeypatch, 8)  # within the second epoch


def test_the_dry_run_counts_them(experiment):
    halved = experiment(negative_sample_rate=0.5)
    table, folds = create_folds(halved)
    mine = folds != 0
    n, rows = int(negatives_by_hand(table.labels)[mine].sum()), int(mine.sum())
    plan = "\n".join(plan_fold(halved, 0))
    n_epoch = rows - n + -(-n // 2)
    line = f"negatives  {n} of {rows} rows have only zero labels; 50% of them an epoch, which has"
    assert f"{line} {n_epoch} rows" in plan
    steps = -(-n_epoch // 4)
    assert f"steps      {2 * steps} of 4 rows: 2 epochs of {steps}" in plan


def test_a_negative_has_binary_labels_all_zero_and_no_label_of_another_kind(work_dir):
    frame = pd.DataFrame(
        [["0", "", "0", ""], ["0", "0", "0", ""], ["0", "", "0.01", ""], ["", "", "", ""],
         ["0", "0", "0", "3.5"], ["", "0", "", ""]], columns=["a", "b", "c", "number"]
    )  # fmt: skip
    frame.assign(id=range(6), text="x").to_csv("mixed.csv", index=False)
    tasks = [
        {"name": "one", "kind": "binary", "columns": ["a"], "main": True},
        {"name": "two", "kind": "binary", "columns": ["b", "c"]},
        {"name": "three", "kind": "regression", "columns": ["number"]},
    ]
    halved = make_experiment("mixed.csv", "b", tasks=tasks, train={"negative_sample_rate": 0.5})
    table, task_set = read_training_table(halved), TaskSet.from_experiment(halved)
    mask = all_negative_mask(halved, task_set, table, np.arange(6))
    assert mask.tolist() == [True, True, False, False, False, True]
    with pytest.raises(
        InputError, match="none of the 2 rows to train on has only binary labels that are 0"
    ):
        all_negative_mask(halved, task_set, table, np.array([2, 3]))
    plain = make_experiment("mixed.csv", "b", tasks=tasks)
    assert all_negative_mask(plain, task_set, table, np.arange(6)) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": {"negative_sample_rate": 0.0}}, "greater than 0"),
        ({"train": {"negative_sample_rate": 0.5},
          "tasks": [{"name": "n", "kind": "regression", "columns": ["n"]}]}, "of kind 'binary'"),
        ({"train": {"negative_sample_rate": 0.5, "sampling": "sqrt"},
          "data": {"train": [{"path": "a/t.csv"}, {"path": "b/t.csv"}]}},
         "goes with train.sampling = 'size', not with 'sqrt'"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        make_experiment("t", "b", **changes)
