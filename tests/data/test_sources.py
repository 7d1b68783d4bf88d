"""Several training files: renamed, labeled where they have labels, told apart, in common folds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from auxfold.config.experiment import Experiment
from auxfold.data.folds import make_folds
from auxfold.data.loading import read_training_table
from auxfold.data.sources import describe_sources, rows_per_source
from auxfold.errors import InputError
from auxfold.tasks import TaskSet
from auxfold.training.split import create_folds, load_training_table, stratification_flags
from conftest import make_experiment

FIRST = pd.DataFrame(
    {"id": ["1", "2", "3"], "text": ["a", "b", "c"], "toxic": [0.5, 1, 0], "insult": ["", "1", "0"]}
)
SECOND = pd.DataFrame(
    {"key": ["1", "9"], "doc": ["d", "e"], "target": ["1", "0"], "text": ["x", "y"], "w": [2, 0.5]}
)
RENAME = {"key": "id", "doc": "text", "target": "threat", "text": ""}


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder, frame in (("one", FIRST), ("two", SECOND)):
        (tmp_path / folder).mkdir()
        frame.to_csv(tmp_path / folder / "train.csv", index=False)
    return tmp_path


def two_sources(backbone: str = "b", rename: dict | None = None, **data) -> Experiment:
    sources = [
        {"path": "one/train.csv"},
        {"path": "two/train.csv", "rename": RENAME if rename is None else rename},
    ]
    return make_experiment("", backbone, data={"train": sources, **data})


def test_rows_follow_each_other_and_are_labeled_where_their_source_is(files):
    table = read_training_table(two_sources(sample_weight="w"))
    assert table.ids.tolist() == ["one/1", "one/2", "one/3", "two/1", "two/9"]
    assert table.texts == [["a", "b", "c", "d", "e"]]
    nan = np.nan
    expected = [[0.5, nan, nan], [1, 1, nan], [0, 0, nan], [nan, nan, 1], [nan, nan, 0]]
    np.testing.assert_array_equal(table.labels, np.array(expected, dtype=np.float32))
    assert table.sample_weights.tolist() == [1, 1, 1, 2, 0.5], "no column of weights: weight 1"
    assert table.sources.tolist() == [0, 0, 0, 1, 1]
    assert table.take(np.array([4, 0])).sources.tolist() == [1, 0]
    assert table.path == "one/train.csv + two/train.csv"


def test_an_identity_that_a_source_lacks_is_not_annotated_there(files):
    SECOND.assign(male=["0.25", ""]).to_csv("two/train.csv", index=False)
    experiment = make_experiment("", "b", data=two_sources().data.model_dump(mode="json"),
                                 identities={"columns": ["male"]})  # fmt: skip
    expected = np.array([[np.nan], [np.nan], [np.nan], [0.25], [np.nan]], dtype=np.float32)
    np.testing.assert_array_equal(read_training_table(experiment).identities, expected)


def test_without_an_id_column_each_source_counts_its_own_rows(files):
    table = read_training_table(two_sources(id="", rename={**RENAME, "key": ""}))
    assert table.ids.tolist() == ["one/0", "one/1", "one/2", "two/0", "two/1"]


def test_a_group_may_be_in_one_source_only_and_holds_across_sources(files):
    FIRST.assign(g=["x", "y", "x"]).to_csv("one/train.csv", index=False)
    assert read_training_table(two_sources(group="g")).groups.tolist() == ["x", "y", "x", "", ""]
    SECOND.assign(g=["y", "z"]).to_csv("two/train.csv", index=False)
    experiment = two_sources(group="g")
    table = read_training_table(experiment)
    folds = make_folds(table, table.labels, 2, True, 0)
    assert folds[0] == folds[2] and folds[1] == folds[3]


def test_a_single_source_keeps_its_ids_and_its_fingerprint(files):
    """``[[data.train]]`` once, without a rename, is the plain path; a rename is read as written."""
    FIRST.assign(threat=[1, 0, 1]).to_csv("one/train.csv", index=False)
    plain = read_training_table(make_experiment("one/train.csv", "b"))
    single = make_experiment("", "b", data={"train": [{"path": "one/train.csv"}]})
    assert read_training_table(single).fingerprint() == plain.fingerprint() == "b5b0f3a739e01774"
    assert read_training_table(single).ids.tolist() == ["1", "2", "3"]
    renamed = FIRST.assign(hard=[1, 0, 1])
    renamed.to_csv("one/train.csv", index=False)
    source = {"path": "one/train.csv", "rename": {"hard": "threat"}}
    renamed_table = read_training_table(make_experiment("", "b", data={"train": [source]}))
    assert renamed_table.fingerprint() == plain.fingerprint() and renamed_table.sources is None


def test_a_fingerprint_tells_sources_apart(files):
    table = read_training_table(two_sources())
    other = table.take(np.arange(5))
    other.sources[2] = 1
    assert other.fingerprint() != table.fingerprint()


@pytest.mark.parametrize(
    ("rename", "data", "expected"),
    [
        ({**RENAME, "dco": "w"}, {}, "two/train.csv has no column 'dco' to rename .*'doc'"),
        ({**RENAME, "target": "thraet"}, {}, "renamed to 'thraet', which .*did you mean 'threat'"),
        ({"key": "id", "target": "threat", "doc": "text"}, {}, "has a column 'text' besides 'doc'"),
        ({**RENAME, "target": ""}, {}, "no source of data.train has column 'threat'"),
        ({"key": "id", "target": "threat"}, {"text": "doc"}, "one/train.csv has no column 'doc'"),
        (RENAME, {"group": "g"}, "no source of data.train has column 'g'"),
        ({"target": "threat"}, {}, "two/train.csv has no column 'id'"),
    ],
)
def test_columns_that_do_not_fit_are_named(files, rename, data, expected):
    with pytest.raises(InputError, match=expected):
        read_training_table(two_sources(rename=rename, **data))


def test_a_source_without_labels_is_refused(files):
    FIRST.assign(threat=[1, 0, 1]).to_csv("one/train.csv", index=False)
    with pytest.raises(InputError, match="two/train.csv has none of the label columns"):
        read_training_table(two_sources(rename={**RENAME, "target": ""}))
    SECOND.assign(target="").to_csv("two/train.csv", index=False)
    with pytest.raises(InputError, match="two/train.csv has no label in any row"):
        read_training_table(two_sources())
    (files / "two/train.csv").unlink()
    with pytest.raises(InputError, match="no file two/train.csv"):
        read_training_table(two_sources())


def test_a_wrong_label_is_named_by_its_own_file_and_row(files):
    SECOND.assign(target=["0", "7"]).to_csv("two/train.csv", index=False)
    with pytest.raises(InputError, match="two/train.csv: column 'threat', row 2: label 7"):
        load_training_table(two_sources())
    SECOND.assign(key=["1", "1"]).to_csv("two/train.csv", index=False)
    with pytest.raises(InputError, match="two/train.csv: id '1' is in more than one row"):
        load_training_table(two_sources())


def random_frame(rows: int, seed: int, label: str) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    texts = [f"{label} text {n}" for n in range(rows)]
    return pd.DataFrame({"id": range(rows), "text": texts, label: random.integers(0, 2, rows)})


@pytest.mark.parametrize("second_label", ["threat", "toxic"])
def test_folds_have_an_even_share_of_every_source(files, second_label):
    """This holds also where two sources label the same task."""
    random_frame(200, 0, "toxic").assign(insult=1).to_csv("one/train.csv", index=False)
    second = random_frame(53, 1, second_label)
    second.loc[:9, "text"] = "TOXIC text " + second.loc[:9, "id"].astype(str) + "!"
    second.to_csv("two/train.csv", index=False)
    tasks = [
        {"name": "main", "kind": "binary", "columns": ["toxic"], "main": True},
        {"name": "aux", "kind": "binary", "columns": ["threat"]},
    ]
    data = {"train": ["one/train.csv", "two/train.csv"]}
    experiment = make_experiment("", "b", data=data, tasks=tasks[: 2 - (second_label == "toxic")])
    table, folds = create_folds(experiment)
    for source in (0, 1):
        counts = np.bincount(folds[table.sources == source], minlength=2)
        assert abs(counts[0] - counts[1]) <= 3
    assert (folds[:10] == folds[200:210]).all(), "equal texts of two sources share a fold"
    tasks = tasks[:1] if second_label == "toxic" else tasks
    experiment_of_100 = make_experiment("", "b", data={**data, "rows": 100}, tasks=tasks)
    sampled = load_training_table(experiment_of_100)
    assert abs((sampled.sources == 1).sum() - 100 * 53 / 253) <= 2
    counts = rows_per_source(experiment.data, table.sources_at(folds == 0))
    assert list(counts) == ["rows of one", "rows of two"]
    assert counts["rows of one"] == f"{(folds[:200] == 0).sum()}"
    lines = describe_sources(experiment.data, experiment.label_columns, table.labels, table.sources)
    assert lines[1] == f"two: 53 rows with labels of {second_label}"


def test_the_flags_name_the_source_of_a_row(files):
    experiment = two_sources()
    tasks = TaskSet.from_experiment(experiment)
    flags = stratification_flags(tasks, read_training_table(experiment))
    assert flags.shape == (5, 5)
    np.testing.assert_array_equal(flags[:, 3:], [[1, 0]] * 3 + [[0, 1]] * 2)
