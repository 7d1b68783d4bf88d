"""``folds.group_near_duplicates``: its range, and what it does not go with."""

from __future__ import annotations

import pytest

from auxfold.errors import InputError
from conftest import make_experiment


def test_near_duplicates_are_not_grouped_by_default():
    assert make_experiment("train.csv", "b").folds.group_near_duplicates is None


@pytest.mark.parametrize("similarity", [0.6, 0.8, 0.99])
def test_similarities_in_range_are_accepted(similarity):
    experiment = make_experiment("t.csv", "b", folds={"group_near_duplicates": similarity})
    assert experiment.folds.group_near_duplicates == similarity


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ({"group_near_duplicates": 0.59}, "group_near_duplicates"),
        ({"group_near_duplicates": 1.0}, "group_near_duplicates"),
        ({"group_near_duplicates": True}, "group_near_duplicates"),
        (
            {"group_near_duplicates": 0.8, "group_duplicates": False},
            "keeps equal texts together, too; leave out group_duplicates = false",
        ),
        (
            {"group_near_duplicates": 0.8, "validation": "dev.csv"},
            "validation = 'dev.csv' names those to validate on; leave one of them out",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(folds, message):
    with pytest.raises(InputError, match=message):
        make_experiment("train.csv", "b", folds=folds)
