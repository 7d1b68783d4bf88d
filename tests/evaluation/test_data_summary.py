"""What is counted in a table, exactly, and what is warned about."""

from __future__ import annotations

import numpy as np
import pandas as pd

from auxfold.config.experiment import Experiment
from auxfold.evaluation.data_summary import (
    DataSummary,
    read_data_summary,
    summarize_data,
    write_data_summary,
)
from auxfold.tasks import TaskSet
from auxfold.training.split import load_training_table
from conftest import make_experiment

TEXTS = [
    "bread is good",
    "Bread is good!",
    "rain",
    "soup",
    "",
    "goose",
    "train",
    "council",
    "was",
    "not",
]
TASKS = [
    {"name": "rude", "kind": "binary", "columns": ["rude", "loud"], "main": True},
    {"name": "mood", "kind": "multiclass", "columns": ["mood"], "classes": ["calm", "angry"]},
]


def make_table(folder, backbone="none", **columns) -> Experiment:
    frame = pd.DataFrame({
        "id": range(10), "text": TEXTS,
        "rude": [1, 0, 0, 0, 0, 0, 0, 0, 0, 1], "loud": [1, 1, "", "", 0, 0, 0, 0, 0, 0],
        "mood": ["calm"] * 9 + ["angry"],
    })  # fmt: skip
    frame.assign(**columns).to_csv(folder / "train.csv", index=False)
    return make_experiment(str(folder / "train.csv"), backbone, tasks=TASKS)


def summarize(experiment: Experiment, folds=None) -> DataSummary:
    tasks = TaskSet.from_experiment(experiment)
    return summarize_data(experiment, tasks, load_training_table(experiment, tasks), folds)


def test_labels_are_counted_per_fold(tmp_path):
    folds = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, -1])
    summary = summarize(make_table(tmp_path), folds)
    counts = {c.label: (c.task, c.rows, c.labeled, c.per_fold) for c in summary.labels}
    assert counts == {
        "rude": ("rude", 2, 10, [1, 0]),
        "loud": ("rude", 2, 8, [2, 0]),
        "mood = calm": ("mood", 9, 10, [5, 4]),
        "mood = angry": ("mood", 1, 10, [0, 0]),
    }
    assert summary.majority_scores() == {"rude": 0.8, "loud": 0.75, "mood": 0.9}
    rare, dominant, *_ = summary.warnings()
    assert rare.endswith(
        "chance: mood = angry 1 (0 a fold), rude 2 (0 to 1 a fold), "
        "loud 2 (0 to 2 a fold), mood = calm 9 (4 to 5 a fold)"
    )
    assert dominant.endswith("giving it: mood 0.900")


def test_before_there_are_folds_examples_of_the_test_file_are_in_none(tmp_path):
    pd.DataFrame({"id": range(40), "text": "x", "other": [f"w{n}" for n in range(40)]}).to_csv(
        tmp_path / "test.csv", index=False
    )
    data = make_table(tmp_path).data.model_dump(mode="json", exclude_none=True)
    data |= {"test": str(tmp_path / "test.csv"),
             "from_test": [{"columns": {"text": "other"}, "labels": {"rude": 1}}]}  # fmt: skip
    summary = summarize(make_experiment("", "none", tasks=TASKS, data=data))
    assert summary.rows == 50
    label = summary.labels[0]
    assert (label.label, label.rows, label.per_fold) == ("rude", 42, [1, 1])


def test_equal_texts_and_their_labels_are_counted(tmp_path):
    summary = summarize(make_table(tmp_path))
    assert (summary.rows, summary.empty_texts) == (10, 1)
    assert (summary.duplicates, summary.conflicts) == (1, 1)
    assert summary.warnings()[2:4] == [
        "1 of 10 rows have no text",
        "1 of 10 rows repeat the text of an earlier row; 1 of these texts have several different "
        "labels",
    ]
    # A missing label does not differ from a label.
    assert summarize(make_table(tmp_path, rude=["", *[0, 1] * 4, 0])).conflicts == 0


def test_texts_of_the_test_file_that_are_trained_on_are_counted(tmp_path):
    experiment = make_table(tmp_path)
    test = pd.DataFrame({"id": range(3), "text": ["RAIN", "", "new"]})
    test.to_csv(tmp_path / "test.csv", index=False)
    data = experiment.data.model_copy(update={"test": str(tmp_path / "test.csv")})
    experiment = experiment.model_copy(update={"data": data})
    summary = summarize(experiment)
    assert (summary.test_rows, summary.test_overlap) == (3, 1)
    assert (
        "1 of 3 test rows have texts that are trained on too: their score will be too good"
        in summary.warnings()
    )
    test.drop(columns="id").to_csv(tmp_path / "test.csv", index=False)
    assert "the test file cannot be read: " in summarize(experiment).warnings()[-2]
    (tmp_path / "test.csv").unlink()
    assert summarize(experiment).test_rows is None


def test_a_missing_backbone_is_said(tmp_path):
    last = summarize(make_table(tmp_path)).warnings()[-1]
    assert last.startswith("the tokens of the texts are not counted: model.backbone = 'none' ")


def test_a_stored_summary_reads_back_equal(work_dir, backbone):
    experiment = make_table(work_dir, backbone)
    assert read_data_summary(experiment) is None
    tasks, folds = TaskSet.from_experiment(experiment), np.arange(10) % 2
    table = load_training_table(experiment, tasks)
    summary = write_data_summary(experiment, tasks, table, folds)
    assert summary.tokens is not None and read_data_summary(experiment) == summary
