"""``[data]``: one file or several sources, and their names."""

from __future__ import annotations

import pytest

from auxfold.errors import InputError
from conftest import make_experiment


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["input/quora/train.tsv", "input/spaadia/train.csv"], ["quora", "spaadia"]),
        (["input/own/a.csv.gz", "input/own/b.csv"], ["a", "b"]),
        (["a.csv", "input/own/b.csv"], ["a", "b"]),
        (["input/own/a.csv"], ["own"]),
    ],
)
def test_sources_are_called_by_what_tells_them_apart(paths, names):
    assert make_experiment("", "b", data={"train": paths}).data.source_names == names


@pytest.mark.parametrize(
    ("train", "expected"),
    [
        (["x/a.csv", "x/a.tsv"], "two sources of data.train are called 'a'; give each a name"),
        (["x/a b.csv", "x/c.csv"], "a source of data.train needs a name; 'a b' cannot be one"),
        ([{"path": "t", "renam": {}}], "unknown key 'data.train.0.renam' .did you mean 'rename'"),
        ([{"path": "t", "rename": {"a": 1}}], "data.train.0.rename.a = 1: .*string"),
        ([{"path": "t", "rename": {"a": "c", "b": "c"}}], "data.train.0: rename gives two columns"),
        ([{"path": "t", "name": "a/b"}], "data.train.0.name = 'a/b'"),
        ([{"name": "a"}], "'data.train.0.path' is missing"),
        ([], "data.train = .*at least 1"),
        ({"path": "t"}, "data.train: .*array"),
        (3, "data.train = 3: .*string"),
    ],
)
def test_what_is_wrong_with_a_source_is_named(train, expected):
    with pytest.raises(InputError, match=expected):
        make_experiment("", "b", data={"train": train})
