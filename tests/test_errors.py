"""What messages are worded with."""

from __future__ import annotations

from auxfold.errors import list_first, nearest


def test_the_first_parts_and_how_many_follow():
    assert list_first(["a", "b"], 2) == "a, b"
    assert list_first(["a", "b", 3], 2) == "a, b and 1 more"
    assert list_first(range(2000), 1) == "0 and 1,999 more"
    assert list_first([], 2) == ""
    assert list_first(["a", "b", "c"], 2, repr) == "'a', 'b' and 1 more"


def test_the_nearest_name_is_a_hint():
    assert nearest("toxc", ["toxic", "insult"]) == " (did you mean 'toxic'?)"
    assert nearest("zzz", ["toxic", "insult"]) == ""
