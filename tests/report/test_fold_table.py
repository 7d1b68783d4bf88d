"""Of many labels the table of folds has those that differ most between the folds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from auxfold.report.fold_table import fold_table
from auxfold.tasks import TaskSet
from auxfold.training.split import create_folds
from conftest import make_experiment

FOLDS = np.repeat([0, 1], 20)


def make_table(work_dir, n_labels: int, different: tuple[int, ...] = ()):
    """40 rows, ten positive ones of every label in each fold; of some labels five and fifteen."""
    labels = np.tile(np.repeat([1, 0], 10), 2)
    frame = pd.DataFrame({"id": range(40), "text": [f"goose {n}" for n in range(40)]})
    for number in range(n_labels):
        frame[f"l{number:02d}"] = labels
        if number in different:
            frame[f"l{number:02d}"] = np.repeat([1, 0, 1, 0], [5, 15, 15, 5])
    frame.to_csv(work_dir / "train.csv", index=False)
    columns = [f"l{number:02d}" for number in range(n_labels)]
    tasks = [{"name": "main", "kind": "binary", "columns": columns, "main": True}]
    experiment = make_experiment("train.csv", "b", tasks=tasks)
    table, _ = create_folds(experiment)
    return experiment, TaskSet.from_experiment(experiment), table


def test_few_labels_are_all_there(work_dir):
    result = fold_table(*make_table(work_dir, 3, different=(1,)), FOLDS)
    assert result.header == ["fold", "rows", "l00 ≥ 0.5", "l01 ≥ 0.5", "l02 ≥ 0.5"]
    assert result.rows == [["0", "20", "10", "5", "10"], ["1", "20", "10", "15", "10"]]
    assert result.note == "" and result.labels == {}
    assert result.lines() == [
        "  fold    rows  l00 ≥ 0.5  l01 ≥ 0.5  l02 ≥ 0.5",
        "     0      20         10          5         10",
        "     1      20         10         15         10",
    ]


def test_many_labels_are_folded_to_those_that_differ(work_dir):
    result = fold_table(*make_table(work_dir, 28, different=(3, 20)), FOLDS)
    assert result.header == ["fold", "rows", "l03 ≥ 0.5", "l20 ≥ 0.5"]
    assert result.note == "26 more labels differ less between the folds."
    assert max(map(len, result.lines())) < 60
    assert len(result.labels) == 28 and result.labels["l03 ≥ 0.5"] == ["5", "15"]


def test_labels_that_are_evenly_divided_are_a_sentence(work_dir):
    result = fold_table(*make_table(work_dir, 28), FOLDS)
    assert result.header == ["fold", "rows"]
    assert result.note == (
        "The counts of the 28 labels differ by at most one row between the folds."
    )


def test_rows_that_are_only_trained_on_are_a_row(work_dir):
    experiment, tasks, table = make_table(work_dir, 1)
    experiment = experiment.model_copy(
        update={"folds": experiment.folds.model_copy(update={"validation": 10})}
    )
    folds = np.where(np.arange(40) < 30, -1, 0)
    rows = fold_table(experiment, tasks, table, folds).rows
    assert [row[:2] for row in rows] == [["0", "10"], ["train", "30"]]
