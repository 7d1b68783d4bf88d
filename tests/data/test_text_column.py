"""Texts in Arrow: they behave as a list does, and hash as pandas hashes them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from auxfold.data import text_column
from auxfold.data.text_column import TextColumn, hash_strings

TEXTS = ["a", "", "žluť", "a", "two\nlines"]


@pytest.mark.parametrize(
    "strings", [TEXTS, np.array(TEXTS, object), pd.Series(TEXTS), pd.Series(TEXTS, dtype=object)]
)
def test_a_column_is_a_sequence(strings):
    column = TextColumn.from_strings(strings)
    assert column == TEXTS and column != TEXTS[:4] and column != ["b"] * 5
    assert len(column) == 5 and column[2] == "žluť" and column[-1] == "two\nlines"
    assert column[np.int64(1)] == "" and column[1:3] == ["", "žluť"] and list(column) == TEXTS
    assert pd.Series(column).tolist() == TEXTS and "žluť" in column
    assert TextColumn.from_strings(column) is column
    with pytest.raises(IndexError):
        column[5]


def test_rows_of_a_column():
    column = TextColumn.from_strings(pd.Series(TEXTS)[[4, 2, 0]])
    assert column == ["two\nlines", "žluť", "a"]
    rows = np.array([2, 0])
    expected = column.hashes[rows]
    taken = column.take(rows)
    assert taken == ["a", "two\nlines"] and taken.hashes.tolist() == expected.tolist()


def test_a_column_longer_than_a_chunk(monkeypatch):
    monkeypatch.setattr(text_column, "CHUNK", 2)
    column = TextColumn.from_strings(TEXTS)
    assert list(column) == TEXTS and column == TEXTS
    assert column.hashes.tolist() == hash_strings(TEXTS).tolist()


@pytest.mark.parametrize(
    "strings", [TEXTS, np.array(TEXTS, object), TextColumn.from_strings(TEXTS)]
)
def test_hashes_are_those_of_pandas(strings):
    expected = pd.util.hash_array(np.array(TEXTS, dtype=object))
    assert hash_strings(strings).tolist() == expected.tolist()
    assert hash_strings(strings).tolist()[:1] == [13950350942979735504]  # stored fingerprints hold
