"""The facts of single columns."""

from __future__ import annotations

import pandas as pd
import pytest

from auxfold.quickstart.column import ColumnProfile, object_keys


def profile(*cells: str, name: str = "y", times: int = 10) -> ColumnProfile:
    return ColumnProfile.from_cells(name, pd.Series(list(cells) * times, dtype="str"))


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["0", "1"], "binary"), (["0.25", "1"], "binary"), (["-1", "1"], "binary"),
        (["-1", "0", "1"], "multiclass"), (["1", "2", "3"], "multiclass"),
        (["1.5", "2", "3"], "regression"), (["a", "b"], "multiclass"), (["spam", "ham"], "binary"),
        (["a;b", "b;c"], "tags"), (["a", "a"], None), (["", "1", "0"], "binary"),
    ],
)  # fmt: skip
def test_kinds(cells, kind):
    assert profile(*cells).kind == kind


def test_ratings_have_a_name_and_few_values():
    assert profile("1", "2", "5", name="Star Rating").kind == "ordinal"
    assert profile("1", "2", "50", name="score").kind == "regression"
    assert profile("1", "2", "5", name="topic").kind == "multiclass"


def test_none_is_a_word_among_words_and_missing_among_numbers():
    words, numbers = profile("favor", "none", "nan"), profile("1", "none", "2")
    assert words.classes() == ["favor", "none"] and words.missing == pytest.approx(1 / 3)
    assert numbers.classes() == ["1", "2"] and numbers.missing == pytest.approx(1 / 3)


def test_values_that_mean_not_labeled():
    words = profile("a", "b", "-")
    assert words.unlabeled == ("-",) and words.classes() == ["a", "b"]
    numbers = profile("-1", "0", "1", "2")
    assert numbers.unlabeled == ("-1",) and numbers.classes() == ["0", "1", "2"]
    assert profile("-1", "0", "1").unlabeled == ()


def test_several_words_are_never_an_id():
    unique = [f"note number {n}" for n in range(30)]
    assert not profile(*unique, times=1).is_id()
    assert profile(*(f"T-{n}" for n in range(30)), times=1).is_id()
    assert profile(*map(str, range(30)), times=1).is_id()
    assert not profile(*(f"{n}.5" for n in range(30)), times=1).is_id()


def test_texts():
    assert profile(*(f"the soup was good {n}" for n in range(30)), times=1).is_text()
    assert profile(*(f"质量很好物流{n}" for n in range(30)), times=1).is_text()
    dates = (f"2024-01-{n:02} 10:00:00 UTC" for n in range(1, 29))
    links = (f"https://example.org/{n}" for n in range(30))
    assert not profile(*dates, times=1).is_text() and not profile(*links, times=1).is_text(1.0)
    assert not profile("the same few words", "again some words").is_text()


def test_tags_are_short_and_repeat():
    assert dict(profile("a;b", "b", "b;c").tag_counts) == {"a": 10, "b": 30, "c": 10}
    assert profile('["a", "b"]', "[]").kind == "tags"
    prose = (f"one part {n}; another part {n}" for n in range(30))
    assert profile(*prose, times=1).tag_format is None


def test_keys_of_objects():
    cells = pd.Series(['{"rude": 1, "calm": 0}', "", '{"loud": 1}'], dtype="str")
    assert object_keys(cells) == ["rude", "calm", "loud"]
    assert object_keys(pd.Series(['{"a": {"b": 1}}'], dtype="str")) == []
    assert object_keys(pd.Series(["{smile}", "x"], dtype="str")) == []
