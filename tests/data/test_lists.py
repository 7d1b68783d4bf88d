"""Rows with lists of labels and weights, pairs, and custom readers."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

from auxfold.config.experiment import experiment_from_dict, load_experiment, to_toml
from auxfold.data.lists import detect_list_entries, expand_lists
from auxfold.data.loading import read_prediction_table, read_training_table
from auxfold.data.reader import copy_reader
from auxfold.errors import InputError
from auxfold.tasks import TaskSet
from auxfold.training.objective import Objective
from auxfold.training.split import load_training_table

ROWS = [
    {"text": "a good bad", "labels": [2, 0, 1]},
    {"text": "a silly goose", "labels": [0, None, 3]},
    {"text": "rain", "labels": [1, 1, 0]},
]


def write_rows(folder, rows, name="rows.jsonl"):
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder / name)


def grouped_experiment(path, sizes=(3, 2, 4), **data):
    raw = {"name": "g", "data": {"train": path, "group_sizes": list(sizes), **data}}
    return experiment_from_dict(raw, "tests")


def test_group_sizes_alone_read_the_rows_as_they_are(tmp_path):
    experiment = grouped_experiment(write_rows(tmp_path, ROWS))
    table = load_training_table(experiment)
    assert [task.name for task in experiment.tasks] == ["labels_0", "labels_1", "labels_2"]
    assert [task.n_outputs for task in TaskSet.from_experiment(experiment)] == [3, 2, 4]
    assert experiment.main_task.name == "labels_0"
    np.testing.assert_array_equal(table.labels, [[2, 0, 1], [0, np.nan, 3], [1, 1, 0]])
    assert list(table.ids) == ["0", "1", "2"]
    assert table.texts == [["a good bad", "a silly goose", "rain"]]


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl.gz"])
def test_lists_are_read_from_every_format(tmp_path, kind):
    path = tmp_path / f"rows.{kind}"
    frame = pd.DataFrame(ROWS)
    if kind == "parquet":
        frame.to_parquet(path)
    elif kind == "csv":
        frame.assign(labels=frame["labels"].map(json.dumps)).to_csv(path, index=False)
    else:
        frame.to_json(path, orient="records", lines=True)
    labels = read_training_table(grouped_experiment(str(path))).labels
    np.testing.assert_array_equal(labels, [[2, 0, 1], [0, np.nan, 3], [1, 1, 0]])


def test_named_tasks_read_the_same_entries(tmp_path):
    tasks = [
        {"name": "tone", "kind": "multiclass", "columns": ["labels_2"], "main": True,
         "classes": ["calm", "rude", "angry", "loud"]},
        {"name": "topic", "kind": "multiclass", "columns": ["labels_0"], "classes": 3},
    ]  # fmt: skip
    raw = {"name": "n", "data": {"train": write_rows(tmp_path, ROWS), "id": ""}, "tasks": tasks}
    table = read_training_table(experiment_from_dict(raw, "tests"))
    np.testing.assert_array_equal(table.labels, [[1, 2], [3, 0], [0, 1]])


def test_whole_numbers_beside_missing_ones_are_classes(tmp_path):
    path = tmp_path / "rows.parquet"
    pd.DataFrame({"id": ["a", "b"], "text": ["x", "y"], "tone": [1.0, None]}).to_parquet(path)
    tasks = [{"name": "t", "kind": "multiclass", "columns": ["tone"], "classes": 2}]
    experiment = experiment_from_dict(
        {"name": "n", "data": {"train": str(path)}, "tasks": tasks}, ""
    )
    np.testing.assert_array_equal(read_training_table(experiment).labels, [[1], [np.nan]])


def test_the_resolved_file_is_read_back(tmp_path):
    experiment = grouped_experiment(write_rows(tmp_path, ROWS))
    (tmp_path / "e.toml").write_text(to_toml(experiment))
    assert load_experiment(tmp_path / "e.toml") == experiment
    changed = load_experiment(tmp_path / "e.toml", ["tasks.labels_1.weight=0.25"])
    assert changed.tasks[1].weight == 0.25


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"text": "x", "labels": [3, 0, 1]}, "column 'labels_0', row 4: '3' is none"),
        ({"text": "x", "labels": [2, 0]}, "column 'labels', row 4: 2 entries, expected 3"),
        ({"text": "x", "labels": [2, 0, 1, 1]}, "column 'labels', row 4: 4 entries, expected 3"),
        ({"text": "x", "labels": [-1, 0, 1]}, "column 'labels_0', row 4: '-1' is none"),
        ({"text": "x", "labels": 2}, "column 'labels', row 4: '2' is not a list"),
        ({"text": "x", "labels": [[2], 0, 1]}, "row 4: '[[2], 0, 1]' is not a list such as"),
    ],
)
def test_a_label_out_of_range_or_a_wrong_size_is_refused_with_its_row(tmp_path, row, expected):
    with pytest.raises(InputError) as error:
        load_training_table(grouped_experiment(write_rows(tmp_path, [*ROWS, row])))
    assert expected in str(error.value)


def test_sizes_that_disagree_with_the_rows_or_the_tasks_are_refused(tmp_path):
    path = write_rows(tmp_path, ROWS)
    with pytest.raises(InputError, match="row 1: 3 entries, expected 2"):
        load_training_table(grouped_experiment(path, (3, 2)))
    tasks = [{"name": "t", "kind": "multiclass", "columns": ["labels_0"], "classes": 2}]
    raw = {"name": "g", "data": {"train": path, "group_sizes": [3]}, "tasks": tasks}
    with pytest.raises(InputError, match=r"group_sizes = \[3\], but the tasks have \[2\] classes"):
        experiment_from_dict(raw, "tests")


def test_a_list_of_weights_weighs_each_task_and_a_number_all(tmp_path):
    weights = [[1.0, 0.0, 2.0], 3, [0.5, 1.0, 1.0]]
    rows = [{**row, "weight": weight} for row, weight in zip(ROWS, weights, strict=True)]
    experiment = grouped_experiment(write_rows(tmp_path, rows), sample_weight="weight")
    table = load_training_table(experiment)
    weights_by_task = [table.task_weights[f"labels_{k}"] * table.sample_weights for k in range(3)]
    np.testing.assert_array_equal(weights_by_task, [[1, 3, 0.5], [0, 3, 1], [2, 3, 1]])
    objective = Objective(TaskSet.from_experiment(experiment), table)
    logits = {f"labels_{k}": torch.zeros(3, n) for k, n in enumerate((3, 2, 4))}
    indices = np.arange(3)
    losses = objective.for_step(indices)(logits, indices)
    # Uniform logits: every cell costs log(classes); labels_1 is unlabeled in the second row.
    assert float(losses["labels_0"]) == pytest.approx(4.5 * np.log(3) / 3, rel=1e-6)
    assert float(losses["labels_1"]) == pytest.approx(1.0 * np.log(2) / 2, rel=1e-6)
    assert float(losses["labels_2"]) == pytest.approx(6.0 * np.log(4) / 3, rel=1e-6)


@pytest.mark.parametrize("weight", [[1.0, 2.0], "heavy", [1.0, None, 2.0], [1, -1, 1]])
def test_a_cell_that_is_not_a_weight_is_refused(tmp_path, weight):
    rows = [*({**row, "weight": [1, 1, 1]} for row in ROWS[:2]), {**ROWS[2], "weight": weight}]
    with pytest.raises(InputError, match="column 'weight', row 3: "):
        read_training_table(grouped_experiment(write_rows(tmp_path, rows), sample_weight="weight"))


@pytest.mark.parametrize(
    ("more", "way"),
    [
        ({"weight": 1.0}, 'set data.sample_weight = "weight"'),
        ({"text_pair": "soup"}, r'set data.text = \["text", "text_pair"\]'),
    ],
)
def test_a_pair_or_a_weight_is_not_overlooked(tmp_path, more, way):
    path = write_rows(tmp_path, [{**row, **more} for row in ROWS])
    with pytest.raises(InputError, match=way):
        read_training_table(grouped_experiment(path))
    used = {"sample_weight": "weight"} if "weight" in more else {"text": ["text", "text_pair"]}
    assert len(read_training_table(grouped_experiment(path, **used))) == 3


READER = '''
class Reader:
    """Lines such as ``2 | a silly goose``."""

    def read(self, path):
        for number, line in enumerate(path.read_text().splitlines()):
            label, text = line.split(" | ")
            yield {"id": f"line{number}", "text": text, "label": label}


class Broken:
    def read(self, path):
        raise KeyError("nothing here")


class Silent:
    pass
'''


def experiment_with_reader(path, name):
    tasks = [{"name": "t", "kind": "multiclass", "columns": ["label"], "classes": 3}]
    raw = {"name": "r", "data": {"train": path, "reader": name}, "tasks": tasks}
    return experiment_from_dict(raw, "tests")


@pytest.fixture
def custom_format(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "line_reader.py").write_text(READER)
    (tmp_path / "rows.txt").write_text("2 | a silly goose\n0 | rain\n")
    return "rows.txt"


def test_a_custom_reader(custom_format):
    experiment = experiment_with_reader(custom_format, "line_reader:Reader")
    table = read_training_table(experiment)
    assert list(table.ids) == ["line0", "line1"]
    assert table.texts == [["a silly goose", "rain"]]
    np.testing.assert_array_equal(table.labels, [[2], [0]])
    assert read_prediction_table(experiment, custom_format).texts == table.texts


def test_a_readers_file_is_copied_to_where_it_is_found(custom_format, tmp_path):
    copy_reader(experiment_with_reader(custom_format, "line_reader:Reader").data, tmp_path / "src")
    assert (tmp_path / "src/line_reader.py").read_text() == READER
    missing = experiment_with_reader(custom_format, "not_there:Reader")
    with pytest.raises(InputError, match="No module named"):
        copy_reader(missing.data, tmp_path / "src")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("line_reader:Raeder", "has no attribute 'Raeder'"),
        ("no_such_module:Reader", "No module named 'no_such_module'"),
        ("line_reader:Broken", "line_reader:Broken failed: KeyError"),
        ("line_reader:Silent", r"has no method read\(path\)"),
        ("line_reader", "data.reader = 'line_reader'"),
    ],
)
def test_a_reader_that_fails_says_how(custom_format, name, expected):
    with pytest.raises(InputError, match=expected):
        read_training_table(experiment_with_reader(custom_format, name))


def test_a_reader_without_a_column_says_which(custom_format):
    experiment = experiment_with_reader(custom_format, "line_reader:Reader")
    data = experiment.data.model_copy(update={"text": "texts"})
    with pytest.raises(InputError, match=r"gives no column 'texts' \(did you mean 'text'"):
        read_training_table(experiment.model_copy(update={"data": data}))


def test_columns_of_lists_are_found_in_an_unknown_table():
    frame = pd.DataFrame(
        {
            "labels": ["[2, 0]", "[1, null]"],
            "ragged": ["[1]", "[1, 2]"],
            "bracketed": ["[so]", "[he said]"],
            "text": ["a", "b"],
        }
    )
    entries = detect_list_entries(frame)
    assert entries == {"labels_0": ("labels", 0), "labels_1": ("labels", 1)}
    expanded = expand_lists(frame, entries, "t")
    assert expanded["labels_1"].tolist() == ["0", ""] and "labels" not in expanded
