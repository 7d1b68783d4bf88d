"""What a Python call may give as the texts of rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from auxfold.config import Data
from auxfold.errors import InputError
from auxfold.inference.text_rows import read_text_rows

TEMPLATE = Data(train="t", template="Rule: {rule}, {votes} votes\n{body}")
ROWS = [("no ads", "3", "buy"), ("", "", "hello")]
COLUMNS = [["no ads", ""], ["3", ""], ["buy", "hello"]]


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        [list(row) for row in ROWS],
        [
            {"rule": "no ads", "votes": 3, "body": "buy", "other": 1},
            {"rule": None, "votes": None, "body": "hello"},
        ],
        pd.DataFrame({"body": ["buy", "hello"], "rule": ["no ads", None], "votes": [3.0, np.nan]}),
        pd.DataFrame(
            {"body": ["buy", "hello"], "rule": ["no ads", pd.NA], "votes": [3, pd.NA]},
            dtype=object,
        ),
    ],
    ids=["tuples", "lists", "dictionaries", "table", "objects"],
)
def test_rows_of_a_template(rows):
    columns, index = read_text_rows(rows, TEMPLATE)
    assert columns == COLUMNS and index.tolist() == [0, 1]


def test_a_template_with_one_column_reads_texts():
    data = Data(train="t", template="Comment: {body}")
    index = pd.Index(["x", "y"])
    for rows in (["a", "b"], pd.Series(["a", "b"], index=index), [{"body": "a"}, {"body": "b"}]):
        assert read_text_rows(rows, data)[0] == [["a", "b"]]
    assert read_text_rows(pd.Series(["a", "b"], index=index), data)[1] is index
    assert read_text_rows("a", data)[0] == [["a"]]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("a", "b")], r"row 1 is not 3 texts .rule, votes, body.: \('a', 'b'\)"),
        ("a", "row 1 is not 3 texts .rule, votes, body.: 'a'"),
        ([("a", 3, "b")], "row 1 is not a text: 3"),
        (
            [{"rule": "a", "votes": 1, "body": "b"}, {"rule": "a", "body": "b"}],
            "row 2 is not a dictionary with 'rule', 'votes', 'body': .*; None is an empty text",
        ),
        ([{"rule": b"a", "votes": 1, "body": "b"}], "column 'rule' holds bytes, not text"),
        (pd.DataFrame({"rule": ["a"], "votes": [1], "boddy": ["b"]}),
         "no text column 'body' .did you mean 'boddy'"),
        ([{"rule": "\ud83d", "votes": 1, "body": "b"}], "half of an emoji"),
        (3, "expected texts, got int"),
    ],
)  # fmt: skip
def test_what_is_no_row_of_a_template_is_refused(rows, expected):
    with pytest.raises(InputError, match=expected):
        read_text_rows(rows, TEMPLATE)
