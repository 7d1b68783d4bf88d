"""``data.template``: text, and columns in braces."""

from __future__ import annotations

import tomllib

import pytest

from auxfold.config.experiment import Experiment, experiment_from_dict, to_toml
from auxfold.config.row_template import TemplatePart, parse_template, template_fields
from auxfold.errors import InputError
from conftest import make_experiment


def make_data(**data: object) -> Experiment:
    return make_experiment("", "b", data={"train": "t", **data})


def test_a_template_is_text_and_columns():
    assert parse_template("Rule: {rule}\n{{x}} {comment text}!") == [
        TemplatePart("Rule: ", "rule"),
        TemplatePart("\n{", None),
        TemplatePart("x}", None),
        TemplatePart(" ", "comment text"),
        TemplatePart("!", None),
    ]
    assert template_fields("{b} {a} {b}", "{c}{a}") == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("data", "columns", "is_pair"),
    [
        ({}, ["text"], False),
        ({"text": ["a", "b"]}, ["a", "b"], True),
        ({"template": "{a} and {b}"}, ["a", "b"], False),
        ({"template": "{b}"}, ["b"], False),
        ({"template": "chat", "user": "{b} {a}"}, ["b", "a"], False),
        (
            {"template": "chat", "user": "{b}", "system": "By {a}", "fields": {"a": 3}},
            ["a", "b"],
            False,
        ),
    ],
)
def test_the_text_columns_are_those_of_the_template(data, columns, is_pair):
    experiment = make_data(**data)
    assert experiment.data.text_columns == columns
    assert experiment.data.is_pair == is_pair
    assert make_data(**data).fingerprint() == experiment.fingerprint()


def test_a_template_is_stored_and_read_back():
    template = 'Rule: "{rule}"\n\tComment: {body} {{}}'
    experiment = make_data(template=template, fields={"rule": 64, "body": 9})
    stored = experiment_from_dict(tomllib.loads(to_toml(experiment)), "stored")
    assert stored.data.template == template and stored.data.fields == {"rule": 64, "body": 9}
    assert stored.fingerprint() == experiment.fingerprint()
    assert make_data(template=template).fingerprint() != experiment.fingerprint()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"template": "a {body"}, "data.template = 'a {body': .*; a field is the name of a column"),
        ({"template": "a } b"}, "Single '}' encountered.*{{ or }} is a brace itself"),
        ({"template": "{}"}, "{} is not a column's name without a format"),
        ({"template": "{body:>9}"}, "{body} is not a column's name without a format"),
        ({"template": "{body!r}"}, "{body} is not a column's name without a format"),
        ({"template": "no column"}, 'template names no column in braces, such as "{body}"'),
        ({"template": "{a}", "text": ["a", "b"]}, "template names the columns with texts; leave"),
        ({"text": ["a", "b", "c"]}, "a list of two .a pair.; template takes any number"),
        ({"fields": {"text": 3}}, "fields is not read without template"),
        ({"template": "{rule}", "fields": {"rul": 3}}, "fields has 'rul' .did you mean 'rule'"),
        ({"template": "{rule}", "fields": {"rule": 0}}, "data.fields.rule = 0: .*greater than"),
        ({"template": "{a}", "user": "{a}"}, "user is not read without template = 'chat'"),
        ({"system": "x"}, "system is not read without template = 'chat'"),
        ({"template": "chat"}, "template = 'chat' needs user, a message with columns"),
        ({"template": "chat", "user": "hello"}, "template = 'chat' needs user, a message with"),
        (
            {"template": "chat", "user": "{a}", "system": "{b}"},
            "system has the column 'b', .*; give it a number of tokens in fields",
        ),
    ],
)
def test_what_is_wrong_with_a_template_is_named(data, expected):
    with pytest.raises(InputError, match=expected):
        make_data(**data)


def test_windows_are_of_one_text():
    windows = {"truncation": "windows", "window_stride": 8, "window_reduction": "max"}
    make_experiment("", "b", data={"train": "t", "template": "{a} {b}"}, model=windows)
    with pytest.raises(InputError, match="'windows' is for one text; of a pair, name both"):
        make_experiment("", "b", data={"train": "t", "text": ["a", "b"]}, model=windows)
    with pytest.raises(InputError, match="window_stride is not read by truncation = 'head'"):
        make_experiment("", "b", model={"window_stride": 8})
