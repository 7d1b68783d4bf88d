"""The JSON schema accepts what the code accepts, and refuses what an editor should mark."""

from __future__ import annotations

import tomllib
from pathlib import Path

import jsonschema  # nbformat requires it
import pytest

from auxfold.config.experiment import to_toml
from auxfold.config.json_schema import experiment_schema
from conftest import make_experiment

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.toml"))
SCHEMA = experiment_schema()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
BASE = {"name": "e", "data": {"train": "t.csv"},
        "tasks": [{"name": "main", "kind": "binary", "columns": ["a"]}]}  # fmt: skip


def base_with(**sections) -> dict:
    return {**BASE, **sections}


def test_the_schema_is_one():
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_experiments_are_valid(path):
    VALIDATOR.validate(tomllib.loads(path.read_text()))


@pytest.mark.parametrize(
    "raw",
    [
        BASE,
        base_with(data={"train": ["a.csv", "b.csv"]}),
        base_with(data={"train": [{"path": "a.csv", "rename": {"x": "y"}}, "b.csv"]}),
        base_with(data={"train": "t.csv", "text": ["a", "b"]}),
        base_with(folds={"validation": 0.1}),
        base_with(folds={"validation": 100}),
        base_with(folds={"validation": "dev.csv"}),
        base_with(sample_weights={"scheme": "identity_strict"}),
        base_with(sample_weights={"scheme": ["identity_strict", "annotators"], "annotators": "n"}),
        base_with(model={"adapter": {"kind": "houlsby", "activation": "gelu"}}),
        base_with(tasks=[{**BASE["tasks"][0], "pos_weight": "balanced"}]),
        base_with(tasks=[{**BASE["tasks"][0], "pos_weight": [1, 2.5]}]),
        base_with(tasks=[{"name": "m", "kind": "multiclass", "columns": ["a"], "classes": 3}]),
        {"name": "e", "data": {"train": "t.jsonl", "group_sizes": [3, 2]}},
    ],
    ids=str,
)
def test_what_the_code_accepts_is_valid(raw):
    VALIDATOR.validate(raw)


def test_a_written_experiment_is_valid():
    experiment = make_experiment("t", "b", model={"adapter": {"kind": "lora"}})
    VALIDATOR.validate(tomllib.loads(to_toml(experiment)))


@pytest.mark.parametrize(
    "raw",
    [
        base_with(trian={}),
        base_with(train={"epochs": 0}),
        base_with(train={"warmup": 0.1}),
        base_with(data={"train": 3}),
        base_with(data={"train": [{"name": "a"}]}),
        base_with(folds={"validation": 1.5}),
        base_with(sample_weights={"scheme": "identity"}),
        base_with(model={"adapter": {"kind": "ia3", "rank": 4}}),
        base_with(tasks=[{**BASE["tasks"][0], "kind": "regression", "pos_weight": 2.0}]),
        base_with(tasks=[{**BASE["tasks"][0], "pos_weight": 0}]),
        {"name": "e", "data": {"train": "t.csv"}},
    ],
    ids=str,
)
def test_what_the_code_refuses_is_not_valid(raw):
    assert not VALIDATOR.is_valid(raw)


def test_keys_are_described_for_an_editor():
    epochs = SCHEMA["$defs"]["Train"]["properties"]["epochs"]
    assert epochs["description"] == "Passes over the training rows of a fold."
    assert epochs["default"] == 2 and "title" not in epochs
