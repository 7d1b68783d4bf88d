"""A dotted column is a key of the objects in another column."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from auxfold.config.experiment import Experiment
from auxfold.data.loading import read_prediction_table, read_training_table
from auxfold.data.objects import expand_objects, match_object_keys
from auxfold.errors import InputError
from conftest import make_experiment

ROWS = [
    {"text": "rain", "labels": {"rude": 1, "calm": 0}, "meta": {"id": 10**18 + 1, "by": "x"}},
    {"text": "soup", "labels": {"calm": 1}, "meta": {"id": 10**18 + 2, "by": "y"}},
    {"text": "tea", "labels": None, "meta": {"id": 10**18 + 3, "by": "x"}},
]
TASK = {"name": "t", "kind": "binary", "columns": ["labels.rude", "labels.calm"]}


def nested_experiment(path: str, **changes: object) -> Experiment:
    data = {"train": path, "id": "meta.id", "group": "meta.by"}
    return make_experiment(path, "b", **{"data": data, "tasks": [TASK], **changes})


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "csv"])
def test_labels_ids_and_groups_are_read_from_objects(tmp_path, kind):
    path = str(tmp_path / f"rows.{kind}")
    if kind == "csv":
        cells = {key: [json.dumps(row[key]) for row in ROWS] for key in ("labels", "meta")}
        pd.DataFrame({"text": [row["text"] for row in ROWS], **cells}).to_csv(path, index=False)
    elif kind == "parquet":
        pd.DataFrame(ROWS).to_parquet(path)
    else:
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    experiment = nested_experiment(path)
    table = read_training_table(experiment)
    expected = [[1, 0], [np.nan, 1], [np.nan, np.nan]]
    np.testing.assert_array_equal(table.labels, expected)
    assert list(table.ids) == [str(10**18 + n) for n in (1, 2, 3)], "all digits"
    assert table.groups is not None and list(table.groups) == ["x", "y", "x"]
    assert list(read_prediction_table(experiment, path).ids) == list(table.ids)


def test_several_sources_may_call_the_objects_otherwise(tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    renamed = [{**row, "scores": row["labels"]} for row in ROWS]
    for row in renamed:
        del row["labels"]
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in renamed))
    sources = [
        {"path": str(tmp_path / "a.jsonl")},
        {"path": str(tmp_path / "b.jsonl"), "rename": {"scores": "labels"}},
    ]
    experiment = nested_experiment("", data={"train": sources, "id": ""})
    np.testing.assert_array_equal(read_training_table(experiment).labels[:4, 1], [0, 1, np.nan, 0])


def test_a_column_of_that_name_comes_first_and_the_longest_object_next():
    keys = match_object_keys(["a.b.c", "x.y", "z.k"], ["a", "a.b", "x.y", "x"])
    assert keys == {"a.b.c": ("a.b", "c")}


def test_keys_within_objects_and_values_of_any_type():
    cells = ['{"a": {"b": 1.50, "c.d": true}, "e": [1, "x"]}', "", '{"a": null}']
    frame = pd.DataFrame({"o": cells}, dtype="str")
    keys = match_object_keys(["o.a.b", "o.a.c.d", "o.e", "o.a"], ["o"])
    expanded = expand_objects(frame, keys, "f.csv")
    assert expanded["o.a.b"].tolist() == ["1.50", "", ""]
    assert expanded["o.a.c.d"].tolist() == ["true", "", ""]
    assert expanded["o.e"].tolist() == ['[1, "x"]', "", ""]
    assert expanded["o.a"].tolist() == ['{"b": 1.50, "c.d": true}', "", ""]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (['{"rude": 1}', "[1]"], "f.csv: column 'o', row 2: '[1]' is not an object such as"),
        (["", "rude"], "column 'o', row 2: 'rude' is not an object"),
        (['{"rude": 1, "rude": 0}'], "column 'o', row 1"),
        (
            ['{"rude": 1}', '{"calm": 1}'],
            "no object in column 'o' has the key 'rdue' (did you mean 'rude'?); its keys are "
            "rude, calm",
        ),
    ],
)
def test_what_is_no_object_and_a_key_that_is_nowhere_are_refused(cells, expected):
    frame = pd.DataFrame({"o": cells}, dtype="str")
    with pytest.raises(InputError) as error:
        expand_objects(frame, {"o.rdue": ("o", "rdue")}, "f.csv")
    assert expected in str(error.value)
