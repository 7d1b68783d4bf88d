"""The time of a fold from what a sample of its rows takes."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest

from auxfold.config import Train
from auxfold.data.token_store import tokenize_column
from auxfold.model.tokenizer import load_tokenizer
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import TaskSet
from auxfold.training import fold_time
from auxfold.training.dry_run import plan_fold
from auxfold.training.epochs import EpochPlan
from auxfold.training.fold_time import (
    FoldTime,
    draw_sample,
    measure_evaluation,
    measure_tokenizing,
    sample_size,
    settings_for_sample,
)
from auxfold.training.speed import StepSpeed
from auxfold.training.split import load_training_table
from conftest import make_experiment, make_frame


def test_the_parts_of_a_fold_add_up():
    seconds = FoldTime(start=3, tokenizing=5, training=70, evaluation=20)
    assert seconds.of_folds(1) == 98
    assert seconds.of_folds(4) == 5 + 4 * 93, "texts are tokenized once"


@pytest.mark.parametrize(
    ("batch_size", "bucket_steps", "n_rows", "expected"),
    [
        (32, 50, 10**6, 3_200),  # two buckets
        (16, 50, 10**6, 2_400),
        (256, 50, 10**6, 12_800),
        (512, 50, 10**6, 19_968),  # 39 steps of a bucket of 25,600 rows
        (8_192, 50, 10**6, 32_768),
        (32, 50, 700, 700),
    ],
)
def test_a_sample_is_whole_buckets(batch_size, bucket_steps, n_rows, expected):
    settings = Train(batch_size=batch_size, length_bucket_steps=bucket_steps)
    assert sample_size(settings, n_rows) == expected


def prepare(experiment, n_valid: int = 20):
    tasks = TaskSet.from_experiment(experiment)
    table = load_training_table(experiment, tasks)
    train, valid = np.arange(n_valid, len(table)), np.arange(n_valid)
    epochs = EpochPlan.for_rows(experiment, tasks, table, None, train)
    return tasks, table, epochs, valid


def test_a_sample_has_rows_of_an_epoch_and_held_out_rows(work_dir, backbone, monkeypatch):
    frame = make_frame()
    frame.assign(toxic=frame["toxic"].round()).to_csv("train.csv", index=False)
    experiment = make_experiment(
        "train.csv", backbone, train={"negative_sample_rate": 0.5, "batch_size": 8, "epochs": 3}
    )
    monkeypatch.setattr(fold_time, "MAX_VALID_ROWS", 12)
    _, table, epochs, valid = prepare(experiment)
    sample = draw_sample(experiment, table, epochs, valid)
    ids = np.asarray(sample.table.ids)
    assert sorted(ids[sample.train]) == sorted(np.asarray(table.ids)[epochs.rows(0)])
    assert len(set(ids[sample.valid]) & set(np.asarray(table.ids)[valid])) == 12
    assert len(ids) == len(sample.train) + 12
    settings = settings_for_sample(experiment, sample, epochs).train
    assert settings.negative_sample_rate == 1, "the sampled rows are an epoch already"
    assert settings.epochs == 3, "the sample is an epoch, so there are as many steps"


def test_evaluations_are_counted(work_dir, backbone, monkeypatch):
    monkeypatch.setattr(fold_time, "measure_prediction", lambda *args: 0.5)
    monkeypatch.setattr(fold_time, "measure_scoring", lambda evaluator: 100.0)

    def seconds(n_valid: int = 20, **changes) -> float:
        experiment = make_experiment("train.csv", backbone, **changes)
        tasks, table, epochs, valid = prepare(experiment, n_valid)
        sample = draw_sample(experiment, table, epochs, valid)
        parts = SimpleNamespace(amp_dtype="fp32", stepper=SimpleNamespace(dataset=None))
        return measure_evaluation(
            experiment, tasks, table, valid, epochs.steps_per_epoch, parts, sample,
            StepSpeed(0.1, 4),
        )  # fmt: skip

    train = {"epochs": 2, "evaluations_per_epoch": 3}
    assert seconds(train=train) == 6 * 20 * 0.5 + 7 * 100
    # Averaged weights are new, so they predict once more.
    assert seconds(train=train, selection={"keep": "average"}) == 7 * 20 * 0.5 + 7 * 100
    assert seconds(n_valid=0, train=train) == 0


def test_stored_tokens_take_no_time(work_dir, backbone):
    experiment = make_experiment("train.csv", backbone)
    _, table, epochs, valid = prepare(experiment)
    sample = draw_sample(experiment, table, epochs, valid)
    tokenizer = load_tokenizer(experiment.model)
    assert measure_tokenizing(experiment, table, sample, tokenizer) > 0
    tokenize_column(table.texts[0], tokenizer, RunFolder.of(experiment).tokens)
    assert measure_tokenizing(experiment, table, sample, tokenizer) == 0


def test_the_dry_run_prints_the_parts(work_dir, backbone):
    plan = "\n".join(plan_fold(make_experiment("train.csv", backbone), "full", n_folds=1))
    pattern = (
        r"time       about \d+ s a fold: \d+ s of training, 0 s of evaluation, \d+ s to start, "
        r"\d+ s to tokenize all texts once\nspeed      \d+ rows/s in 8 steps on this machine"
    )
    assert re.search(pattern, plan), plan
    stops = make_experiment("train.csv", backbone, selection={"early_stopping": 1})
    assert "time       at most" in "\n".join(plan_fold(stops, "full"))
