"""Columns that are one task together, and copies of a label."""

from __future__ import annotations

from typing import Any

import pandas as pd

from auxfold.quickstart.column import ColumnProfile
from auxfold.quickstart.label_groups import (
    common_name,
    find_copies,
    find_scores,
    find_shares,
    find_votes,
    group_by_prefix,
)


def columns(**values: list[Any]) -> list[ColumnProfile]:
    return [
        ColumnProfile.from_cells(name, pd.Series([str(v) for v in cells] * 20, dtype="str"))
        for name, cells in values.items()
    ]


def test_a_label_in_numbers_is_a_copy():
    table = columns(
        label=["a", "b", "c"], label_id=[2, 0, 1], stars=[1, 2, 2], other=["x", "y", "x"]
    )
    assert find_copies(table) == {"label_id": "label"}
    assert find_copies(columns(code=[2, 0, 1], mood=["a", "b", "c"])) == {"code": "mood"}


def test_equal_flags_are_no_copies():
    assert find_copies(columns(rude=[0, 1, 1], loud=[0, 1, 1])) == {}
    assert find_copies(columns(topic=["a", "b"], topic_name=["aa", "bb"])) == {
        "topic_name": "topic"
    }


def test_votes_have_about_as_many_in_every_row():
    votes = find_votes(columns(votes_yes=[3, 1, 0], votes_no=[0, 2, 3], age=[30, 41, 25]))
    assert votes.column_names == ["votes_yes", "votes_no"] and votes.name == "votes"
    assert votes.settings == ["normalize_votes = true"]
    # Counts of something else: most rows have none.
    assert find_votes(columns(funny_votes=[0, 0, 9], cool_votes=[0, 0, 1])) is None


def test_votes_without_the_word_add_up():
    names = {"hate": [3, 0, 1], "offensive": [0, 2, 1], "neither": [0, 1, 1]}
    assert find_votes(columns(**names)).column_names == list(names)
    total = columns(count=[3, 6, 3], hate=[3, 0, 1], offensive=[0, 4, 1], neither=[0, 2, 1])
    assert find_votes(total).column_names == list(names)
    assert find_votes(columns(hate=[3, 0, 1], offensive=[0, 2, 9], neither=[0, 1, 1])) is None


def test_shares_sum_to_one():
    exact = find_shares(columns(a=[0.5, 0, 1], b=[0.25, 0, 0], c=[0.25, 1, 0]))
    assert exact.column_names == ["a", "b", "c"] and exact.settings == []
    rounded = find_shares(columns(a=[0.33, 0, 1], b=[0.33, 0, 0], c=[0.33, 1, 0]))
    assert rounded.settings[0].startswith("normalize_votes = true")
    assert find_shares(columns(a=[1, 0, 1], b=[1, 0, 0], c=[0, 1, 0])) is None


def test_scores_are_on_one_scale():
    table = columns(
        grammar=[1, 2, 3, 4], syntax=[4, 3, 2, 1], style=[1, 1, 3, 4], age=[20, 30, 40, 50]
    )
    assert find_scores(table).column_names == ["grammar", "syntax", "style"]
    assert find_scores(table).kind == "regression" and find_scores(table[1:]) is None


def test_names_in_common():
    names = columns(winner_model_a=[0, 1], winner_model_b=[1, 0], winner_tie=[0, 0])
    assert common_name(names) == "winner" and common_name(columns(a=[1], b=[1])) == "main"
    groups = group_by_prefix([*names, *columns(**{"labels.rude": [0, 1], "odd": [1, 0]})])
    assert {key: [c.name for c in group] for key, group in groups.items()} == {
        "winner": ["winner_model_a", "winner_model_b", "winner_tie"],
        "labels": ["labels.rude", "odd"],
    }
