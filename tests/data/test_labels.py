"""Classes that differ only in case or white space are pointed out."""

from __future__ import annotations

import pandas as pd
import pytest

from auxfold.config import MulticlassSettings, RegressionSettings
from auxfold.data.labels import parse_labels
from auxfold.errors import InputError


def classes(*names: str) -> MulticlassSettings:
    return MulticlassSettings(name="t", kind="multiclass", columns=["y"], classes=[*names])


@pytest.mark.parametrize("cell", ["BUGS", "Bugs "])
def test_an_unknown_class_that_differs_only_in_case_says_so(cell):
    frame = pd.DataFrame({"y": ["bills", cell]}, dtype="str")
    with pytest.raises(InputError, match="it differs from 'bugs' only in case or white space"):
        parse_labels(frame, classes("bills", "bugs"), "f.csv")


def test_white_space_within_a_class_is_pointed_out():
    frame = pd.DataFrame({"y": ["no  answer", "x"]}, dtype="str")
    with pytest.raises(
        InputError, match="'no  answer' is none of .* differs from 'no answer' only"
    ):
        parse_labels(frame, classes("x", "no answer"), "f.csv")


def test_two_classes_that_differ_only_in_case_are_read_and_said():
    frame = pd.DataFrame({"y": ["Bug", "bug", "none"]}, dtype="str")
    labels = parse_labels(frame, classes("bug", "Bug"), "f.csv")
    assert labels.values[:2, 0].tolist() == [1, 0]
    assert labels.notes == [
        "y: the classes 'bug' and 'Bug' differ only in case or white space",
        "y: 'none' is read as not labeled (1 row)",
    ]


def test_words_for_missing_numbers_are_said():
    task = RegressionSettings(name="t", kind="regression", columns=["y"])
    labels = parse_labels(pd.DataFrame({"y": ["1.5", "NA", ""]}, dtype="str"), task, "f.csv")
    assert labels.notes == ["y: 'NA' is read as not labeled (1 row)"]
