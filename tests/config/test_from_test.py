"""``[[data.from_test]]``: what a declaration of examples needs, and how it is written back."""

from __future__ import annotations

import pytest

from auxfold.config.experiment import Experiment, experiment_from_dict, to_toml
from auxfold.config.from_test import LabeledExamples
from auxfold.errors import InputError
from conftest import make_experiment

EXAMPLE = {"columns": {"text": "example"}, "labels": {"toxic": 1}}


def declare(*examples: dict, **data) -> Experiment:
    return make_experiment(
        "train.csv", "b", data={"test": "t.csv", "from_test": [*examples], **data}
    )


@pytest.mark.parametrize(
    ("change", "data", "expected"),
    [
        ({}, {"test": None}, "data.from_test takes examples of data.test, which is not set"),
        ({"labels": {"toxik": 1}}, {}, "from_test.0.labels has 'toxik' (did you mean 'toxic'?)"),
        ({"labels": {}}, {}, "data.from_test.0 has no label, such as labels = { toxic = 1 }"),
        ({"columns": {"toxic": "label"}, "labels": {}, "keep": ["text"]}, {},
         "data.from_test.0.columns has no text; name the column of the test file"),
        ({"columns": {"text": ""}}, {}, "data.from_test.0.columns has no text"),
        ({}, {"text": ["text", "rule"]}, "data.from_test.0 lacks the text 'rule'; name it in keep"),
        ({"keep": ["id"]}, {}, "data.from_test.0 names 'id', which is not read from examples"),
        ({"keep": ["g"]}, {"group": "g"}, "data.from_test.0 names 'g', which is not read from"),
        ({"keep": ["toxic"]}, {}, "'toxic' is named twice among columns, labels and keep"),
        ({"columns": {}}, {}, "data.from_test.0.columns"),
        ({"labels": {"toxic": True}}, {}, "data.from_test.0.labels.toxic"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(change, data, expected):
    with pytest.raises(InputError) as error:
        declare({**EXAMPLE, **change}, **data)
    assert expected in str(error.value)


def test_a_number_is_refused_where_labels_are_words():
    tasks = [{"name": "main", "kind": "binary", "columns": ["toxic"], "positive": "rude"}]
    data = {"test": "t.csv", "from_test": [EXAMPLE]}
    with pytest.raises(InputError, match="toxic = 1, but the labels of tasks.main are words"):
        make_experiment("train.csv", "b", data=data, tasks=tasks)
    data["from_test"] = [{**EXAMPLE, "labels": {"toxic": "rude"}}]
    make_experiment("train.csv", "b", data=data, tasks=tasks)


def test_an_example_without_tags_is_not_labeled_as_having_none():
    main = {"name": "main", "kind": "binary", "columns": ["toxic"], "main": True}
    tags = {"name": "kinds", "kind": "tags", "columns": ["kinds"], "empty": "no_tags"}
    data = {"test": "t.csv", "from_test": [EXAMPLE]}
    with pytest.raises(InputError, match="lacks 'kinds', the column of tasks.kinds, where an emp"):
        make_experiment("train.csv", "b", data=data, tasks=[main, tags])
    make_experiment("train.csv", "b", data=data, tasks=[main, {**tags, "empty": "unlabeled"}])


def test_fields_of_a_template_are_texts():
    data = {"test": "t.csv", "template": "Rule: {rule}\nComment: {body}"}
    with pytest.raises(InputError, match="lacks the text 'rule'"):
        make_experiment("t.csv", "b", data={**data, "from_test": [
            {"columns": {"body": "example"}, "labels": {"toxic": 1}}]})  # fmt: skip
    example = {"columns": {"body": "example", "rule": ""}, "labels": {"toxic": 1}}
    examples = make_experiment("t.csv", "b", data={**data, "from_test": [example]}).data.from_test
    assert examples[0].file_columns == ["example"], "the rule stays empty"


def test_a_label_is_a_cell_as_a_file_has_it():
    examples = LabeledExamples.model_validate_json(
        '{"columns": {"text": "a"}, "labels": {"b": 1, "c": 0.5, "d": 1.0, "e": "calm"}}'
    )
    assert examples.label_cells == {"b": "1", "c": "0.5", "d": "1", "e": "calm"}


def test_it_is_written_back_and_says_which_models_belong_together():
    import tomllib

    experiment = declare(EXAMPLE, {**EXAMPLE, "keep": ["insult"]})
    assert experiment_from_dict(tomllib.loads(to_toml(experiment)), "tests") == experiment
    assert experiment.fingerprint() != declare(EXAMPLE).fingerprint()
    assert experiment.training_paths == ["train.csv", "t.csv"]
    assert declare().training_paths == ["train.csv"]
    marked = declare(EXAMPLE, test="train.csv", split="part")
    assert marked.training_paths == ["train.csv"], "test rows of the training file, read once"


def test_a_source_cannot_be_called_as_the_examples_are():
    sources = [{"path": "a/t.csv"}, {"path": "b/t.csv", "name": "from_test"}]
    with pytest.raises(InputError, match="two sources of data.train are called 'from_test'"):
        declare(EXAMPLE, train=sources)
