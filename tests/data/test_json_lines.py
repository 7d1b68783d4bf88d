"""JSON lines: the characters of every number, and no row that is read in part."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from auxfold.data.files import read_columns, read_header
from auxfold.errors import InputError


def write_lines(folder, *lines, encoding="utf-8"):
    path = folder / "rows.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def test_numbers_keep_their_characters(tmp_path):
    numbers = ["1", "2.5", "1e5", "NaN", "1344800117571260417", "0.10", "-0.0", "null", '"007"']
    path = write_lines(tmp_path, *(f'{{"id": {number}}}' for number in numbers))
    expected = ["1", "2.5", "1e5", "NaN", "1344800117571260417", "0.10", "-0.0", "", "007"]
    assert read_columns(path)["id"].tolist() == expected


def test_texts_are_kept_exactly(tmp_path):
    texts = ["NA", " a\tb\r\nc\u2028d ", "", "2020-01-01", "\U0001f600", 'say "x"', "null"]
    path = write_lines(tmp_path, *(json.dumps({"text": text}) for text in texts))
    assert read_columns(path)["text"].tolist() == texts


def test_a_missing_key_is_an_empty_cell_and_blank_lines_are_no_rows(tmp_path):
    path = write_lines(tmp_path, '{"a": 1}', "", '{"b": true, "a": null}', " ")
    assert read_columns(path).to_dict("list") == {"a": ["1", ""], "b": ["", "true"]}
    assert read_columns(path, ["b"]).to_dict("list") == {"b": ["", "true"]}
    assert read_header(path) == ["a", "b"]
    with pytest.raises(InputError, match="has no column 'c'; its columns are a, b"):
        read_columns(path, ["a", "c"])


def test_nested_values_are_json_with_the_digits_of_the_file(tmp_path):
    path = write_lines(tmp_path, '{"x": {"é": 1.50, "b": [1e5, null, "q\\"", false]}}', '{"x": []}')
    assert read_columns(path)["x"].tolist() == [
        '{"é": 1.50, "b": [1e5, null, "q\\"", false]}',
        "[]",
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"id": 1, "id": 2}', "line 2: two values for the key 'id' in one object"),
        ('{"x": {"id": 1, "id": 2}}', "line 2: two values for the key 'id'"),
        ('{"id": 1', "line 2, character 10: Expecting"),
        ('{"id": 1} {"id": 2}', "line 2, character 11: Extra data"),
        ("[1, 2]", "line 2: expected an object"),
        ('{"id": "half \\ud83d"}', r"column 'id', row 2: the text holds '\\ud83d'"),
    ],
)
def test_damaged_lines_are_named(tmp_path, line, expected):
    path = write_lines(tmp_path, '{"id": 0}', line)
    with pytest.raises(InputError, match=expected):
        read_columns(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_encodings(tmp_path, encoding):
    lines = [json.dumps({"text": "café"}, ensure_ascii=False)] * 2
    path = write_lines(tmp_path, *lines, encoding=encoding)
    assert read_columns(path).equals(pd.DataFrame({"text": ["café", "café"]}))
