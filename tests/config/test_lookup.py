"""Keys are found by path, section, kind or name; others are refused with the nearest one."""

from __future__ import annotations

import pytest

from auxfold.config.lookup import find_keys
from auxfold.errors import InputError


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ("train.epochs", ["train.epochs"]),
        ("epochs", ["train.epochs"]),
        ("seed", ["seed"]),
        ("power", ["tasks.power", "inference.power"]),
        ("tasks.pos_weight", ["tasks.pos_weight"]),
        ("tasks.binary.pos_weight", ["tasks.pos_weight"]),
        ("tasks.toxicity.pos_weight", ["tasks.pos_weight"]),
        ("tasks.label_smoothing", ["tasks.label_smoothing"] * 2),
        ("tasks.multiclass.label_smoothing", ["tasks.label_smoothing"]),
        ("data.train.0.rename", ["data.train.rename"]),
        ("model.adapter.dora.rank", ["model.adapter.rank"]),
    ],
)
def test_a_key_is_found(query, paths):
    assert [key.path for section in find_keys(query) for key in section.keys] == paths


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("train", ["[train]"]),
        ("[train]", ["[train]"]),
        ("[[tasks]]", ["[[tasks]]"]),
        ("model", ["[model]", "[model.adapter]"]),
        ("data.train", ["[data]", "[[data.train]]"]),
    ],
)
def test_a_section_is_found(query, headers):
    assert [section.header for section in find_keys(query)] == headers


def test_a_kind_has_its_keys_and_those_of_all_kinds():
    (section,) = find_keys("tasks.multiclass")
    names = [key.name for key in section.keys]
    assert "weight" in names and "classes" in names and "pos_weight" not in names


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("train.epoch", "unknown key 'train.epoch' .did you mean 'train.epochs'"),
        ("warmup_ration", "unknown key 'warmup_ration' .did you mean 'warmup_ratio'"),
        ("modell", "unknown key 'modell' .did you mean 'model'"),
        ("tasks.regression.bins", "unknown key 'tasks.regression.bins'"),
        ("model.adapter.mine.rank", "unknown key 'model.adapter.mine.rank'"),
        ("train.warmup", "^train.warmup is now train.warmup_ratio$"),
        ("warmup", "^train.warmup is now train.warmup_ratio$"),
        ("balance", r"^\[balance\] is now \[task_weighting\]$"),
        ("balance.method", r"^\[balance\] is now \[task_weighting\]$"),
        ("balance.memory", "^balance.memory is now task_weighting.ema_decay$"),
        ("tasks.positive_weight", "^tasks.positive_weight is now tasks.pos_weight$"),
        ("tasks.binary.positive_weight", "^tasks.positive_weight is now tasks.pos_weight$"),
    ],
)
def test_what_is_no_key_is_refused(query, expected):
    with pytest.raises(InputError, match=expected):
        find_keys(query)
