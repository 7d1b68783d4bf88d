"""What would fail on Kaggle is refused at home, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from auxfold.errors import InputError
from auxfold.kaggle.training_plan import TrainingPlan, data_paths
from kaggle_training import COMPETITION, NAMES, make_competition, pack_wheel


@pytest.fixture
def experiment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return make_competition(tmp_path, "backbone")


def test_what_is_in_order_passes(experiment):
    pack_wheel("iterative-stratification", Path("wheels"))
    TrainingPlan(experiment, NAMES, ["full", 1, 0], 8.5, wheels=Path("wheels")).check()


@pytest.mark.parametrize(
    ("plan", "changes", "expected"),
    [
        ({"folds": [0, 2]}, {}, "--folds 0,2: each of 0, 1, full may be named once"),
        ({"folds": [0, 0]}, {}, "--folds 0,0: each of"),
        ({"backbone_source": "bert"}, {}, "--backbone-source bert: expected is a Kaggle model"),
        ({"backbone_source": "a/b/c"}, {}, "--backbone-source a/b/c: expected"),
        ({"wheels": Path("nothing")}, {}, "--wheels nothing: no file"),
        ({}, {}, "Kaggle's image has no iterative-stratification; run pip download --no-deps"),
        (
            {},
            {"inference": {"average": "soup"}},
            "'soup': .*inference.average=probability",
        ),
        ({}, {"data": {"test": None}}, "has no data.test"),
        ({}, {"data": {"test": f"input/{COMPETITION}/text.csv"}}, "no file .*did you mean"),
    ],
)
def test_what_would_fail_is_refused(experiment, plan, changes, expected):
    for section, values in changes.items():
        updated = getattr(experiment, section).model_copy(update=values)
        experiment = experiment.model_copy(update={section: updated})
    with pytest.raises(InputError, match=expected) as refusal:
        TrainingPlan(experiment, NAMES, **{"folds": [0], "hours": 8.5, **plan}).check()
    assert "\n" not in str(refusal.value)


def test_every_data_file_is_named_once(experiment):
    folder = f"input/{COMPETITION}"
    expected = ["train.csv", "test.csv", "sample_submission.csv"]
    assert data_paths(experiment) == [f"{folder}/{name}" for name in expected]
    twice = experiment.data.model_copy(update={"test": f"{folder}/train.csv"})
    assert data_paths(experiment.model_copy(update={"data": twice})) == [
        f"{folder}/train.csv",
        f"{folder}/sample_submission.csv",
    ]
