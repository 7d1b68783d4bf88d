"""What a task of tags leaves unset comes from all files of the training table."""

from __future__ import annotations

import pandas as pd
import pytest

from auxfold.config import TagsSettings
from auxfold.config.experiment import Experiment
from auxfold.data.learned_tags import learn_tags
from auxfold.data.loading import read_training_table
from auxfold.errors import InputError
from conftest import make_experiment


def tagged_experiment(path: str, **changes: object) -> Experiment:
    tasks = [{"name": "t", "kind": "tags", "columns": ["topics"]}]
    return make_experiment(path, "b", **{"tasks": tasks, **changes})


def write_rows(path, topics, first=0):
    rows = {"id": range(first, first + len(topics)), "text": "rain", "topics": topics}
    pd.DataFrame(rows).to_csv(path, index=False)
    return str(path)


def test_tags_of_the_training_and_the_validation_file_are_learned(tmp_path):
    train = write_rows(tmp_path / "t.csv", ["b", "c"])
    validation = write_rows(tmp_path / "v.csv", ["a|b"], first=2)
    experiment = learn_tags(tagged_experiment(train, folds={"validation": validation}))
    task = experiment.main_task
    assert isinstance(task, TagsSettings)
    assert (task.tags, task.cell_format, task.separator) == (["a", "b", "c"], "separated", "|")
    assert experiment.label_columns == ["topics_a", "topics_b", "topics_c"]
    assert read_training_table(experiment).labels.tolist() == [[0, 1, 0], [0, 0, 1], [1, 1, 0]]


def test_a_complete_experiment_is_returned_as_it_is():
    experiment = make_experiment("missing.csv", "b")
    assert learn_tags(experiment) is experiment


def test_a_tag_that_gives_a_column_the_name_of_another_one_is_refused(tmp_path):
    path = write_rows(tmp_path / "t.csv", ["x", "y;x"])
    frame = pd.read_csv(path).assign(topics_x=[0, 1])
    frame.to_csv(path, index=False)
    tasks = [
        {"name": "t", "kind": "tags", "columns": ["topics"], "main": True},
        {"name": "b", "kind": "binary", "columns": ["topics_x"]},
    ]
    with pytest.raises(InputError, match="column 'topics_x' is predicted by two tasks"):
        learn_tags(tagged_experiment(path, tasks=tasks))
