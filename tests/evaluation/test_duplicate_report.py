"""Groups of near-equal texts by ids: in folds, and between a table and a test file."""

from __future__ import annotations

import json

import numpy as np

from auxfold.data.table import Table
from auxfold.evaluation.duplicate_report import count_across_folds, report_duplicates

SENTENCE = "The quick brown fox jumps over the lazy dog and runs into the deep forest."
NEARLY = SENTENCE.replace("quick", "quiet")


def make_table(texts: dict[str, str], path: str = "train.csv") -> Table:
    n = len(texts)
    nothing = np.empty((n, 0), dtype=np.float32)
    ids = np.array(list(texts), dtype=object)
    weights = np.ones(n, dtype=np.float32)
    return Table(path, ids, [list(texts.values())], nothing, weights, {}, None, nothing)


TRAIN = make_table({"a": SENTENCE, "b": "Rain.", "c": NEARLY, "d": "rain", "e": "Snow fell."})
TEST = make_table({"t": "SNOW fell", "u": NEARLY + " now", "v": "Hail.", "w": "hail"}, "test.csv")


def test_groups_within_a_table():
    report = report_duplicates(TRAIN, 0.8, folds=np.array([0, 1, 2, 1, 0]))
    groups = [(group.ids, group.folds, group.test_ids, group.n_texts) for group in report.groups]
    assert groups == [(["a", "c"], [0, 2], [], 2), (["b", "d"], [1, 1], [], 1)]
    assert (report.rows_in_groups, report.rows_across_folds, report.test_rows_in_groups) == (
        4, 2, None,
    )  # fmt: skip


def test_groups_with_a_test_file():
    report = report_duplicates(TRAIN, 0.8, test=TEST)
    groups = [(group.ids, group.folds, group.test_ids, group.n_texts) for group in report.groups]
    # Test rows that are only like each other are no concern.
    assert groups == [
        (["a", "c"], None, ["u"], 3), (["b", "d"], None, [], 1), (["e"], None, ["t"], 1),
    ]  # fmt: skip
    assert (report.rows_in_groups, report.rows_across_folds, report.test_rows_in_groups) == (
        4, None, 2,
    )  # fmt: skip
    content = json.dumps(report.to_dict())
    assert "quick" not in content and "quiet" not in content.casefold()
    assert json.loads(content)["groups"][2] == {
        "ids": ["e"], "folds": None, "test_ids": ["t"], "n_texts": 1,
    }  # fmt: skip


def test_rows_across_folds_are_those_of_divided_groups():
    keys = [SENTENCE, NEARLY, "rain", "rain", "snow"]
    assert count_across_folds(keys, np.array([0, 0, 1, 1, 1]), 0.8) == 0
    assert count_across_folds(keys, np.array([0, 1, 1, 1, 0]), 0.8) == 2
    assert count_across_folds(keys, np.array([0, -1, 0, 1, 0]), 0.8) == 4
    assert count_across_folds(keys, np.array([0, 1, 1, 1, 0]), 0.99) == 0
