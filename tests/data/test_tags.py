"""A column of tags as one binary label per tag."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from auxfold.config import TagsSettings
from auxfold.data.labels import parse_labels
from auxfold.data.tags import complete_tags, expand_tags
from auxfold.errors import InputError

NAN = np.nan


def column(*cells: str) -> pd.Series:
    return pd.Series(cells, dtype="str", name="y")


def learn(*cells: str, **settings: object) -> TagsSettings:
    task = TagsSettings(name="t", kind="tags", columns=["y"], **settings)
    return complete_tags(task, [column(*cells)], "f.csv")


def labels_of(task: TagsSettings, *cells: str) -> tuple[np.ndarray, list[str]]:
    return parse_labels(column(*cells).to_frame(), task, "f.csv")


def test_every_tag_becomes_a_column_of_its_own():
    cells = ("b; a", "", "c", "[]", "a; a")
    task = learn("b; a", "c", "a; a")
    assert (task.tags, task.cell_format, task.separator) == (["a", "b", "c"], "separated", "; ")
    assert task.label_columns == task.prediction_columns == ["y_a", "y_b", "y_c"]
    with pytest.raises(InputError, match=r"column 'y', row 4: '\[\]' is none of the tags"):
        labels_of(task, *cells)
    labels, notes = labels_of(task, "b; a", "", "c", "a; a", "nan")
    expected = [[1, 1, 0], [NAN] * 3, [0, 0, 1], [1, 0, 0], [NAN] * 3]
    np.testing.assert_array_equal(labels, expected)
    assert notes == [
        "y: 3 tags, separated by ';': a, b, c",
        "y: 'nan' is read as not labeled (1 row)",
    ]


def test_an_empty_list_is_no_tag_and_an_empty_cell_not_labeled():
    task = learn('["a"]', '["b", "a"]')
    labels, notes = labels_of(task, "[]", "", '["b"]')
    np.testing.assert_array_equal(labels, [[0, 0], [NAN, NAN], [0, 1]])
    assert notes == ["y: 2 tags, in lists: a, b"]
    no_tags = task.model_copy(update={"empty": "no_tags"})
    np.testing.assert_array_equal(labels_of(no_tags, "", "[]")[0], [[0, 0], [0, 0]])


def test_numbers_stay_numbers_and_are_in_their_order():
    task = learn("[27, 3]", "[10]")
    assert task.tags == [3, 10, 27] and task.label_columns == ["y_3", "y_10", "y_27"]
    assert learn("27,3", "3", "27").tags == ["3", "27"]
    assert learn('["a", 3]', "[3]").tags == ["3", "a"]


def test_rare_tags_are_left_out_and_counted():
    cells = ("a;b", "a;c", "a;b;d", "b")
    task = learn(*cells, min_count=2)
    assert task.tags == ["a", "b"]
    labels, notes = labels_of(task, *cells)
    np.testing.assert_array_equal(labels, [[1, 1], [1, 0], [1, 1], [0, 1]])
    assert notes[1:] == ["y: 2 tags in fewer than 2 rows are left out: 'c' (1), 'd' (1)"]
    with pytest.raises(InputError, match="row 1: 'c' is none of the tags of tasks.t"):
        labels_of(task, "c", "c;a")
    with pytest.raises(InputError, match="column 'y' holds no tag in 5 rows or more"):
        learn(*cells, min_count=5)


def test_an_unseen_tag_is_refused_or_ignored_and_counted():
    task = learn("loud;rude", tags=["rude", "calm"])
    assert task.tags == ["rude", "calm"], "the order of the file"
    with pytest.raises(InputError) as error:
        labels_of(task, "rude", "calms;loud", "loud", "calms")
    assert str(error.value) == (
        "f.csv: column 'y', row 2: 'calms' is none of the tags of tasks.t (did you mean 'calm'?) "
        "(3 such rows); add it to tags, make new folds (make_folds.py --overwrite), or set unseen "
        '= "ignore"; tags: rude, calm'
    )
    ignoring = task.model_copy(update={"unseen": "ignore"})
    labels, notes = labels_of(ignoring, "rude", "calms;loud", "loud;calm")
    np.testing.assert_array_equal(labels, [[1, 0], [0, 0], [0, 1]])
    assert notes[1:] == [
        "y: 2 tags not among those of the task are left out: 'calms' (1), 'loud' (2)"
    ]


def test_values_that_mean_not_labeled_are_no_tags():
    task = learn("a;b", "-", na_values=["-"])
    assert task.tags == ["a", "b"]
    np.testing.assert_array_equal(labels_of(task, "-", "b")[0], [[NAN, NAN], [0, 1]])


def test_tags_that_differ_only_in_case_are_pointed_out():
    task = learn("Rude;calm", "rude;calm")
    assert labels_of(task, "calm")[1] == [
        "y: 3 tags, separated by ';': calm, Rude, rude",
        "y: the tags 'Rude' and 'rude' differ only in case or white space",
    ]


def test_a_tag_with_a_comma_is_quoted_and_a_single_tag_per_cell_is_said():
    assert labels_of(learn("a|b, c", "a|d"), "a")[1] == [
        "y: 3 tags, separated by '|': 'a', 'b, c', 'd'"
    ]
    assert labels_of(learn("x", "y"), "x")[1] == ["y: 2 tags, each cell is one tag: x, y"]


@pytest.mark.parametrize(
    ("cells", "settings", "expected"),
    [
        (["a;b|c"], {}, "f.csv: column 'y': the cells hold both ; and |; set separator"),
        (["[0, 1, 0]", "[1, 0, 0]"], {}, 'columns of a binary task: "y_0", "y_1", … (tasks.t)'),
        (['{"rude": 1}'], {}, 'columns of a binary task: "y.<key>" (tasks.t)'),
        (["['a' 'b']", "['a']"], {}, "column 'y', row 1: \"['a' 'b']\" is a printed NumPy array"),
        (["a"], {"cell_format": "json"}, "column 'y', row 1: 'a' cannot be read"),
    ],
)
def test_cells_of_another_form_are_refused(cells, settings, expected):
    with pytest.raises(InputError) as error:
        learn(*cells, **settings)
    assert expected in str(error.value)


def test_settings_settle_what_the_cells_leave_open():
    assert learn("a;b|c", separator="|").tags == ["a;b", "c"]
    assert learn("Home, Garden", "Sports", separator="").tags == ["Home, Garden", "Sports"]
    assert learn("[x];[y]", "[x]", cell_format="separated").tags == ["[x]", "[y]"]


def test_the_column_of_tags_is_replaced_by_columns_of_text():
    frame = pd.DataFrame({"id": ["1", "2", "3"], "y": ["a", "", "b;x"]}, dtype="str")
    task = learn("a;b", unseen="ignore")
    expanded, notes = expand_tags(frame, task, "f.csv")
    assert expanded.to_dict("list") == {
        "id": ["1", "2", "3"],
        "y_a": ["1", "", "0"],
        "y_b": ["0", "", "1"],
    }
    assert notes == ["y: 1 tag not among those of the task is left out: 'x' (1)"]
    assert expand_tags(expanded, task, "f.csv") == (expanded, [])
