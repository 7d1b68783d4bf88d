"""Every key is documented, with its type, default, kinds and what reads it."""

from __future__ import annotations

from typing import get_args

import pytest

from auxfold.config import BinarySettings, Section, Selection, TaskWeightingSettings
from auxfold.config.keys import Key, describe_type, list_sections

SECTIONS = {section.path: section for section in list_sections()}
KEYS = [key for section in SECTIONS.values() for key in section.keys]


def find(path: str, kind: str | None = None) -> Key:
    (key,) = [k for k in KEYS if k.path == path and (kind is None or kind in k.kinds)]
    return key


def test_all_sections_are_listed_in_the_order_of_a_file():
    assert [section.header for section in SECTIONS.values()] == [
        "", "[data]", "[[data.train]]", "[[data.from_test]]", "[folds]", "[identities]",
        "[sample_weights]", "[model]", "[model.adapter]", "[[tasks]]", "[train]",
        "[task_weighting]", "[selection]", "[inference]", "[tracking]",
    ]  # fmt: skip


def all_sections(section: type[Section] = Section) -> list[type[Section]]:
    return [s for child in section.__subclasses__() for s in (child, *all_sections(child))]


@pytest.mark.parametrize("section", all_sections(), ids=lambda section: section.__name__)
def test_every_key_has_a_description_in_whole_sentences(section):
    for name, field in section.model_fields.items():
        description = field.description or ""
        assert description.endswith((".", ".)")), (name, description)
        assert description[0].isupper() or description[0] == "`", (name, description)


def test_every_section_has_a_description():
    assert all(section.description.endswith(".") for section in SECTIONS.values())


@pytest.mark.parametrize("section", [BinarySettings, TaskWeightingSettings, Selection])
def test_what_is_read_by_a_choice_names_its_values_and_keys(section):
    for choice, keys_by_value in section.READ_BY.items():
        assert tuple(keys_by_value) == get_args(section.model_fields[choice].annotation)
        assert {key for keys in keys_by_value.values() for key in keys} <= set(section.model_fields)


def test_a_key_has_its_type_and_default():
    assert (find("train.epochs").type, find("train.epochs").default) == ("integer >= 1", "2")
    assert (find("train.ema").type, find("train.ema").default) == ("number > 0 and < 1", "none")
    assert find("data.train").default == ""
    assert find("data.text").type == "string or list of strings"
    assert find("selection.keep").type == '"best", "last" or "average"'
    assert find("tasks.pos_weight").type == "number > 0, list of numbers > 0 or string"
    assert find("sample_weights.scheme").type.endswith(
        '"annotators" or "column", or a list of them'
    )
    assert find("seed").type == "integer from 0 to 4294967295"


def test_a_key_of_some_kinds_has_them_and_a_key_of_all_kinds_has_none():
    assert find("tasks.weight").kinds == ()
    assert find("tasks.pos_weight").kinds == ("binary", "tags")
    assert find("tasks.loss", "regression").type == '"mse", "mae" or "huber"'
    kinds = find("tasks.kind").type
    assert kinds == '"binary", "tags", "multiclass", "ordinal" or "regression"'
    assert find("model.adapter.rank").kinds == ("lora", "dora")
    assert find("model.adapter.kind").type.count('"') == 12


def test_a_key_that_one_choice_reads_names_it():
    assert find("tasks.focal_gamma").read_by == 'loss = "focal"'
    assert (
        find("task_weighting.learning_rate").read_by
        == 'method = "uncertainty", "gradnorm" or "famo"'
    )
    assert find("task_weighting.log_every").read_by == ""


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "boolean"}, "boolean"),
        ({"type": "number", "minimum": 0.0, "maximum": 1.0}, "number from 0 to 1"),
        ({"type": "number", "exclusiveMinimum": 0.5}, "number > 0.5"),
        ({"type": "array", "items": {"type": "integer", "minimum": 2}}, "list of integers >= 2"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string"),
        ({"const": "binary"}, '"binary"'),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "table of strings"),
    ],
)
def test_types_are_described_in_words(schema, expected):
    assert describe_type(schema) == expected
