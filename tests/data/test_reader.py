"""A reader of the user's own: its values become text by the table of typed cells."""

from __future__ import annotations

import sys

import pytest

from auxfold.config import Data
from auxfold.data.reader import describe_data_files, read_data_columns, read_data_header
from auxfold.errors import InputError

READERS = """
import numpy as np
import pandas as pd

ROWS = [{"id": 1344800117571260417, "text": "a", "x": 1}, {"id": 2, "text": "b", "x": None}]

class Rows:
    def read(self, path):
        yield from ROWS

class Frame:
    def read(self, path):
        return pd.DataFrame({"id": [1, 2], "x": [12, None], "t": ["a", np.nan]}, index=[7, 7])

class Lost:
    def read(self, path):
        return pd.DataFrame({"text": ["a", "b"], "author": [None, 1344800117571260417]})

class Twice:
    def read(self, path):
        return pd.DataFrame([["a", "b"]], columns=["text", "text"])

class Half:
    def read(self, path):
        return [{"text": "a"}, {"text": "half \\ud83d"}]
"""


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "typed_readers", raising=False)
    (tmp_path / "typed_readers.py").write_text(READERS)
    (tmp_path / "t.txt").write_text("")
    return lambda name: Data(train="t.txt", reader=f"typed_readers:{name}")


def test_integers_next_to_none_keep_their_digits(data):
    frame = read_data_columns(data("Rows"), "t.txt", ["id", "x"])
    assert frame.to_dict("list") == {"id": ["1344800117571260417", "2"], "x": ["1", ""]}
    assert read_data_header(data("Rows"), "t.txt") == ["id", "text", "x"]


def test_a_frame(data):
    frame = read_data_columns(data("Frame"), "t.txt", ["x", "t", "id"])
    assert frame.to_dict("list") == {"x": ["12", ""], "t": ["a", ""], "id": ["1", "2"]}
    assert frame.index.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("name", "columns", "expected"),
    [
        ("Lost", ["author"], r"column 'author', row 2: 1\.3448001175712604e\+18 is a float that"),
        ("Twice", ["text"], "two columns are called 'text'"),
        ("Half", ["text"], r"column 'text', row 2: the text holds '\\ud83d'"),
    ],
)
def test_what_a_reader_has_damaged_is_refused(data, name, columns, expected):
    with pytest.raises(InputError, match=f"^t.txt: typed_readers:{name}.*{expected}"):
        read_data_columns(data(name), "t.txt", columns)


def test_a_column_that_is_not_read_may_have_lost_digits(data):
    assert read_data_columns(data("Lost"), "t.txt", ["text"])["text"].tolist() == ["a", "b"]


def test_the_keys_of_the_experiment_reach_the_file(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("id;text\n1;Привет, мир\n".encode("cp1251"))
    data = Data(train=str(path), encoding="cp1251", separator=";")
    assert read_data_columns(data, str(path), ["text"])["text"].tolist() == ["Привет, мир"]
    assert read_data_header(data, str(path)) == ["id", "text"]
    assert describe_data_files(data, [str(path)]) == []
    path.write_bytes("id;text\n1;schön, ja\n".encode("cp1252"))
    assert describe_data_files(Data(train=str(path)), [str(path), str(path)]) == [
        "t.csv: read as CP1252, since it is not UTF-8",
        "t.csv: read with ';' between the columns",
    ]
