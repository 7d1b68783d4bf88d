"""Settings of tags, complete or still to be learned."""

from __future__ import annotations

import pytest

from auxfold.config import BinarySettings, TagsSettings
from auxfold.config.experiment import experiment_from_dict, load_experiment, to_toml
from auxfold.config.tags_settings import fill_learned_keys
from auxfold.errors import InputError

COMPLETE = {"tags": ["a", "b"], "cell_format": "separated", "separator": ";"}


def tags(**settings: object) -> TagsSettings:
    return TagsSettings(name="t", kind="tags", columns=["y"], **settings)


def test_a_task_is_complete_with_tags_and_the_form_of_the_cells():
    assert tags(**COMPLETE).is_resolved and tags(tags=[1], cell_format="json").is_resolved
    assert not tags().is_resolved and tags().label_columns == []
    for key in COMPLETE:
        assert not tags(**{**COMPLETE, key: None}).is_resolved


def test_only_what_is_unset_is_taken_from_a_stored_task():
    stored = tags(**COMPLETE, min_count=3)
    assert fill_learned_keys(tags(), stored) == tags(**COMPLETE)
    assert fill_learned_keys(tags(tags=["c"]), stored).tags == ["c"]
    assert fill_learned_keys(tags(cell_format="json"), stored) == tags(cell_format="json")
    other = BinarySettings(name="t", kind="binary", columns=["y"])
    assert fill_learned_keys(tags(), other) == tags()


def test_the_stored_file_is_read_back(tmp_path):
    task = {"name": "t", "kind": "tags", "columns": ["y"], "tags": [3, 10], "cell_format": "json"}
    raw = {"name": "e", "data": {"train": "t.csv"}, "tasks": [task]}
    experiment = experiment_from_dict(raw, "tests")
    (tmp_path / "e.toml").write_text(to_toml(experiment))
    assert load_experiment(tmp_path / "e.toml") == experiment
    assert experiment.label_columns == ["y_3", "y_10"] and experiment.file_columns == ["y"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"columns": ["y", "z"]}, "a task of tags has one column"),
        ({"tags": ["a", "a"]}, "tags holds a name twice"),
        ({"tags": ["a "]}, "white space around it"),
        ({"tags": [""]}, "tags holds an empty name"),
        ({"tags": []}, "at least 1 item"),
        ({"cell_format": "json", "separator": ";"}, "separator is not read by cell_format"),
        ({"label_weights": [1.0, 2.0]}, "label_weights has a number per tag; list the tags, too"),
        ({"pos_weight": [1.0, 2.0]}, "pos_weight has a number per tag; list the tags, too"),
        ({"tags": ["a", "b"], "pos_weight": [1.0]}, "pos_weight has 1 numbers for 2 columns"),
        ({"tagss": ["a"]}, "unknown key 'tasks.0.tagss' (did you mean 'tags'?)"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, expected):
    task = {"name": "t", "kind": "tags", "columns": ["y"], **settings}
    raw = {"name": "e", "data": {"train": "t.csv"}, "tasks": [task]}
    with pytest.raises(InputError) as error:
        experiment_from_dict(raw, "tests")
    assert expected in str(error.value)


def test_a_tag_may_not_have_the_name_of_another_column():
    binary = {"name": "b", "kind": "binary", "columns": ["y_a"]}
    task = {"name": "t", "kind": "tags", "columns": ["y"], "tags": ["a"], "main": True}
    with pytest.raises(InputError, match="column 'y_a' is predicted by two tasks"):
        raw = {"name": "e", "data": {"train": "t.csv"}, "tasks": [task, binary]}
        experiment_from_dict(raw, "tests")
