"""Cells of tags: the form of a column is detected, or refused where two readings are possible."""

from __future__ import annotations

import pytest

from auxfold.data.tag_cells import TagFormat, detect_tag_format, sort_tags


@pytest.mark.parametrize(
    ("cells", "cell_format", "separator"),
    [
        (["a;b", "c"], "separated", ";"),
        (["a; b; c", "c"], "separated", "; "),
        (["a; b;c", "c"], "separated", ";"),
        (["a|b, c", "b, c"], "separated", "|"),  # a comma within a tag
        (["a,b", "b", "c,a", "c"], "separated", ","),
        (["a, b", "b, c", "a"], "separated", ", "),
        (["a", "b"], "separated", ""),
        (["[nsfw] a;b", "[x] c;a"], "separated", ";"),
        (['["a","b"]', "[]"], "json", ""),
        (["[3,27]", "[27]"], "json", ""),
        (["['a', 'b']", "[]"], "python", ""),
        (['["it\'s"]', "['a']"], "python", ""),
        ([], "separated", ""),
    ],
)
def test_the_form_of_the_cells_is_detected(cells, cell_format, separator):
    assert detect_tag_format(cells) == TagFormat(cell_format, separator)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["a;b|c", "d"], "both ; and |; set separator"),
        (["Home, Garden", "Sports"], "comma of 'Home, Garden' separates tags is not clear"),
        (['["a"]', "b;c"], "some cells are lists, but 'b;c' is not"),
        (['{"rude": 1}', '{"rude": 0}'], "is an object, not a list of tags"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(cells, expected):
    with pytest.raises(ValueError, match="^") as error:
        detect_tag_format(cells)
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("cell_format", "separator", "cell", "tags"),
    [
        ("separated", ";", "a; b ;;a", ["a", "b"]),
        ("separated", "; ", "a;b", ["a", "b"]),
        ("separated", " ", "a  b", ["a", "b"]),
        ("separated", "", "a;b", ["a;b"]),
        ("separated", ";", ";", []),
        ("json", "", '["a", " b "]', ["a", "b"]),
        ("json", "", "[3, 27]", [3, 27]),
        ("json", "", "[]", []),
        ("python", "", "['a', \"it's\"]", ["a", "it's"]),
        ("python", "", "['a',\n 'b']", ["a", "b"]),
    ],
)
def test_the_tags_of_a_cell(cell_format, separator, cell, tags):
    assert TagFormat(cell_format, separator).split(cell) == tags


@pytest.mark.parametrize(
    ("cell_format", "cell", "expected"),
    [
        ("python", "['a' 'b']", "a printed NumPy array"),
        ("python", "['a'\n 'b']", "a printed NumPy array"),
        ("python", "[1 2]", "cannot be read"),
        ("python", "__import__('os')", "cannot be read"),
        ("json", '"a"', "is not a list"),
        ("json", '["a", ""]', "holds ''; a tag is a name or a whole number"),
        ("json", "[1.5]", "holds 1.5"),
        ("json", "[true]", "holds True"),
        ("json", "[null]", "holds None"),
        ("json", "[0, 1, 0]", "a 0 or 1 for each label"),
        ("separated", "0;1;0", "a 0 or 1 for each label"),
    ],
)
def test_what_are_no_tags_is_refused(cell_format, cell, expected):
    with pytest.raises(ValueError, match="^") as error:
        TagFormat(cell_format, ";").split(cell)
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("form", "tags", "cell"),
    [
        (TagFormat("separated", "; "), ["a", "b"], "a; b"),
        (TagFormat("separated", ";"), [], ""),
        (TagFormat("json"), ["ä", "b"], '["ä", "b"]'),
        (TagFormat("json"), [3, 27], "[3, 27]"),
        (TagFormat("json"), [], "[]"),
        (TagFormat("python"), ["a", "it's"], "['a', \"it's\"]"),
    ],
)
def test_a_cell_is_written_in_the_form_in_which_it_is_read(form, tags, cell):
    assert form.join(tags) == cell
    assert not cell or form.split(cell) == tags


def test_numbers_are_sorted_as_numbers_and_names_by_the_alphabet():
    assert sort_tags(["10", "9", "-1"]) == ["-1", "9", "10"]
    assert sort_tags([27, 3]) == [3, 27]
    assert sort_tags(["b", "C", "a", "B"]) == ["a", "B", "b", "C"]
