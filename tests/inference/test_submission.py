"""A submission is what the sample submission shows: probabilities, decisions or classes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from auxfold.errors import InputError
from auxfold.inference.postprocess import Postprocess
from auxfold.inference.submission import SampleSubmission
from auxfold.tasks import TaskSet
from conftest import make_experiment

IDS = np.array(["a", "b", "c"], dtype=object)
BINARY = [{"name": "main", "kind": "binary", "columns": ["toxic", "insult"]}]
CLASSES = [
    {
        "name": "tone",
        "kind": "multiclass",
        "columns": ["tone"],
        "classes": ["calm", "rude", "angry"],
    }
]


def read_sample(tmp_path, columns: dict[str, list[str]], tasks=BINARY, **changes):
    """The sample with ids in another order than the test file, and the tasks."""
    experiment = make_experiment("train.csv", "b", tasks=tasks, **changes)
    path = tmp_path / "sample.csv"
    pd.DataFrame({"id": ["c", "a", "b"], **columns}).to_csv(path, index=False)
    task_set = TaskSet.from_experiment(experiment)
    return SampleSubmission.read(str(path), IDS, task_set, experiment), task_set


def fill(sample: SampleSubmission, tasks: TaskSet, predictions: dict, stored=None) -> pd.DataFrame:
    postprocess = Postprocess().with_decisions(sample, tasks, "probability", stored or {})
    values = postprocess.apply(tasks, predictions)
    return sample.fill(tasks.prediction_frame("id", IDS, values))


PROBABILITIES = {"main": np.array([[0.2, 0.6], [0.5, 0.4], [0.9, 0.1]])}


@pytest.mark.parametrize(
    ("cells", "changes", "expected"),
    [
        (["0.0", "0.0", "0.0"], {}, False),
        (["0.5", "0.5", "0.5"], {}, False),
        (["0", "1", "0"], {}, True),
        (["0", "0", "0"], {}, True),
        (["0", "0", "0"], {"selection": {"metric": "main/auc"}}, False),
        (["0", "0", "0"], {"selection": {"metric": "main/f1"}}, True),
        (["0", "1", "0"], {"selection": {"metric": "main/auc"}}, True),
        (["0", "1", "0"], {"inference": {"submission": "probabilities"}}, False),
        (["0.5", "0.5", "0.5"], {"inference": {"submission": "decisions"}}, True),
    ],
)
def test_integers_in_the_sample_ask_for_decisions(tmp_path, cells, changes, expected):
    sample, _ = read_sample(tmp_path, {"toxic": cells, "insult": cells}, **changes)
    assert sample.has_decisions is expected


def test_decisions_take_the_tuned_thresholds_and_say_so(tmp_path):
    cells = ["0", "1", "0"]
    sample, tasks = read_sample(tmp_path, {"toxic": cells, "insult": cells})
    stored = {"toxic": {"thresholds": {"f1": 0.15}}, "insult": {"thresholds": {"f1": 0.5}}}
    frame = fill(sample, tasks, PROBABILITIES, stored)
    assert frame.to_dict("list") == {"id": ["c", "a", "b"], "toxic": [1, 1, 1], "insult": [0, 1, 0]}
    note = Postprocess().with_decisions(sample, tasks, "probability", stored).note
    assert "toxic 0.15, insult 0.5" in note and "inference.submission=probabilities" in note


def test_decisions_without_tuned_thresholds_are_those_at_half(tmp_path):
    cells = ["0", "1", "0"]
    sample, tasks = read_sample(tmp_path, {"toxic": cells, "insult": cells})
    stored = {"toxic": {"thresholds": {"f1": 0.15}}}  # one of two: not those of these models
    frame = fill(sample, tasks, PROBABILITIES, stored)
    assert frame["toxic"].tolist() == [1, 0, 1], "0.5 is positive"
    assert (
        "0.5; tuned ones" in Postprocess().with_decisions(sample, tasks, "probability", stored).note
    )


def test_calibrated_predictions_are_decided_at_half(tmp_path):
    cells = ["0", "1", "0"]
    sample, tasks = read_sample(tmp_path, {"toxic": cells, "insult": cells})
    stored = {
        column: {"thresholds": {"f1": 0.01}, "calibration": {"temperature": 2.0}}
        for column in ("toxic", "insult")
    }
    postprocess = Postprocess("temperature", None, stored).with_decisions(
        sample, tasks, "probability", stored
    )
    decided = postprocess.apply(tasks, PROBABILITIES)["main"]
    np.testing.assert_array_equal(decided, [[0, 1], [1, 0], [1, 0]])


def test_ranks_cannot_be_decided(tmp_path):
    cells = ["0", "1", "0"]
    sample, tasks = read_sample(tmp_path, {"toxic": cells, "insult": cells})
    with pytest.raises(InputError, match="'rank' gives none"):
        Postprocess().with_decisions(sample, tasks, "rank", {})


SHARES = {"tone": np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.3, 0.5]])}


@pytest.mark.parametrize("name", ["tone", "label", "prediction"])
@pytest.mark.parametrize("cell", ["calm", "neutral", "0.0"])
def test_one_class_column_of_any_name_gets_the_likeliest_class(tmp_path, name, cell):
    sample, tasks = read_sample(tmp_path, {name: [cell] * 3}, CLASSES)
    frame = fill(sample, tasks, SHARES)
    assert frame.to_dict("list") == {"id": ["c", "a", "b"], name: ["angry", "rude", "calm"]}


def test_classes_are_numbers_where_the_sample_has_numbers(tmp_path):
    sample, tasks = read_sample(tmp_path, {"label": ["0", "2", "0"]}, CLASSES)
    assert fill(sample, tasks, SHARES)["label"].tolist() == [2, 1, 0]


def test_a_column_per_class_gets_the_probabilities(tmp_path):
    columns = {name: ["0.0"] * 3 for name in ("angry", "calm", "rude")}
    sample, tasks = read_sample(tmp_path, columns, CLASSES)
    frame = fill(sample, tasks, SHARES)
    np.testing.assert_array_equal(
        frame[["calm", "rude", "angry"]].to_numpy(), SHARES["tone"][[2, 0, 1]]
    )


def test_a_sample_with_only_ids_is_refused(tmp_path):
    with pytest.raises(InputError, match="has only ids; expected"):
        read_sample(tmp_path, {})


def test_an_unknown_column_among_several_is_refused(tmp_path):
    with pytest.raises(InputError, match="has the column 'rude'"):
        read_sample(tmp_path, {"toxic": ["0.5"] * 3, "rude": ["0.5"] * 3})


TAGS = [
    {
        "name": "topics",
        "kind": "tags",
        "columns": ["topics"],
        "tags": ["bug", "praise"],
        "cell_format": "json",
    }
]


def test_a_sample_may_have_one_column_of_tags_or_one_per_tag(tmp_path):
    predictions = {"topics": np.array([[0.2, 0.6], [0.5, 0.8], [0.4, 0.1]])}
    sample, tasks = read_sample(tmp_path, {"labels": ['["bug"]'] * 3}, TAGS)
    assert fill(sample, tasks, predictions)["labels"].tolist() == [
        "[]",
        '["praise"]',
        '["bug", "praise"]',
    ]
    thresholds = {"topics_bug": 0.3, "topics_praise": 0.7}
    stored = {column: {"thresholds": {"f1": value}} for column, value in thresholds.items()}
    assert fill(sample, tasks, predictions, stored)["labels"].tolist() == [
        '["bug"]',
        "[]",
        '["bug", "praise"]',
    ]
    columns = {"praise": ["0.5"] * 3, "bug": ["0.5"] * 3}
    sample, tasks = read_sample(tmp_path, columns, TAGS)
    submission = fill(sample, tasks, predictions)
    assert submission.columns.tolist() == ["id", "praise", "bug"]
    assert submission["praise"].tolist() == [0.1, 0.6, 0.8]
