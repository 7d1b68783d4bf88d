"""Examples of the test file as training rows: read, compared with training rows, never held out."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest

from auxfold.config.experiment import Experiment
from auxfold.data.loading import read_prediction_table, read_training_table
from auxfold.data.sources import describe_sources, rows_per_source
from auxfold.data.table import Table
from auxfold.data.table_store import TableSource, open_table
from auxfold.errors import InputError
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import TaskSet
from auxfold.training.split import assign_folds, create_folds, load_training_table, split_by_fold
from conftest import make_experiment, make_frame

# The comments of training rows r0 to r3 are a to d, all of rule R.
TRAIN = pd.DataFrame({"id": ["r0", "r1", "r2", "r3"], "body": ["a", "b", "c", "d"], "rule": "R",
                      "broken": [1, 0, 1, 0], "severe": ["1", "", "0", ""]})  # fmt: skip
TEST = pd.DataFrame({"id": ["t0", "t1"], "body": ["x", "y"], "rule": ["R", "S"],
                     "good": ["e", "a"], "bad": ["f", " "]})  # fmt: skip
TASKS = [{"name": "broken", "kind": "binary", "columns": ["broken"], "main": True},
         {"name": "severe", "kind": "binary", "columns": ["severe"]}]  # fmt: skip
EXAMPLES = [{"columns": {"body": "good"}, "labels": {"broken": 0}, "keep": ["rule"]},
            {"columns": {"body": "bad"}, "labels": {"broken": 1}, "keep": ["rule"]}]  # fmt: skip


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    TRAIN.to_csv("train.csv", index=False)
    TEST.to_csv("test.csv", index=False)


def with_examples(examples: list[dict] = EXAMPLES, /, **changes) -> Experiment:
    data = {"train": "train.csv", "test": "test.csv", "text": ["rule", "body"]}
    data |= {"from_test": examples, **changes.pop("data", {})}
    return make_experiment("", "b", data=data, **{"tasks": TASKS, **changes})


def rows_of(table: Table) -> list[tuple]:
    rows = zip(table.ids, zip(*table.texts, strict=True), table.labels.tolist(), strict=True)
    return [(row_id, *texts, *labels) for row_id, texts, labels in rows]


def test_an_example_has_its_text_its_labels_and_no_others(files):
    table = read_training_table(with_examples())
    assert len(table) == 7 and table.from_test.tolist() == [False] * 4 + [True] * 3
    np.testing.assert_equal(
        rows_of(table)[4:],
        [
            ("from_test/1/t0", "R", "e", 0.0, np.nan),
            ("from_test/1/t1", "S", "a", 0.0, np.nan),  # a training row has it with another rule
            ("from_test/2/t0", "R", "f", 1.0, np.nan),
        ],
    )
    assert table.sources is None and table.sample_weights.tolist() == [1.0] * 7
    assert table.path == "train.csv + test.csv (data.from_test, 1 empty left out)"
    assert table.notes[-1] == (
        "test.csv (data.from_test, 1 empty left out): 3 of 3 examples are rows that every "
        "fold trains on and none validates on; 0 have the texts of a training row, and 0 repeat an "
        "example with the same labels"
    )
    plain = read_training_table(with_examples([]))
    assert plain.from_test is None and plain.fingerprint() != table.fingerprint()


def test_repeated_examples_are_left_out_and_counted(files):
    TEST.assign(good=["e", "e"], bad=["e", "E!"], rule="R").to_csv("test.csv", index=False)
    table = read_training_table(with_examples())
    assert [row[:1] + row[2:4] for row in rows_of(table)[4:]] == [
        ("from_test/1/t0", "e", 0.0),
        ("from_test/2/t0", "e", 1.0),  # the same texts with another label
        ("from_test/2/t1", "E!", 1.0),  # not the very same text
    ]
    assert "0 have the texts of a training row, and 1 repeat an example" in table.notes[-1]


@pytest.mark.parametrize(
    ("folds", "n_left_out"),
    [
        ({}, 3),  # "a", "A!" and "b" are texts of training rows
        ({"group_duplicates": False}, 2),  # "A!" is another text
    ],
)
def test_an_example_with_the_texts_of_a_training_row_is_left_out(files, folds, n_left_out):
    TEST.assign(good=["a", "A!"], bad=["b", "f"], rule="R").to_csv("test.csv", index=False)
    table = read_training_table(with_examples(folds=folds))
    assert f"{n_left_out} have the texts of a training row" in table.notes[-1]
    assert len(table) == 4 + 4 - n_left_out and "b" not in list(table.texts[1])[4:]


def test_a_near_equal_text_is_left_out_where_folds_keep_those_together(files):
    long = " ".join(f"word{n}" for n in range(40))
    TRAIN.assign(body=[long, *"bcd"]).to_csv("train.csv", index=False)
    TEST.assign(good=[f"{long} end", "e"], rule="R").to_csv("test.csv", index=False)
    near = {"group_near_duplicates": 0.8}
    assert [len(read_training_table(with_examples(folds=f))) for f in ({}, near)] == [7, 6]


def test_without_any_new_example_the_training_rows_remain(files):
    TEST.assign(good=["a", "b"], bad=["c", "d"], rule="R").to_csv("test.csv", index=False)
    table = read_training_table(with_examples())
    assert len(table) == 4 and table.from_test is None
    assert "0 of 4 examples are rows" in table.notes[-1]
    TEST.assign(good="", bad="").to_csv("test.csv", index=False)
    with pytest.raises(InputError, match="none of the 4 examples has a text"):
        read_training_table(with_examples())


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        ({"keep": ["rule", "shout"]}, r"data.from_test.0 has the column 'shout', which the exper"),
        ({"columns": {"body": "goood"}}, "test.csv: .*no column 'goood'.*'good'|'goood'"),
        ({"labels": {"broken": 7}}, r"test.csv \(data.from_test.*'broken'.*\[0, 1\]"),
    ],
)
def test_what_does_not_fit_the_files_is_named(files, example, expected):
    experiment = with_examples([{**EXAMPLES[0], **example}])
    with pytest.raises(InputError, match=expected):
        load_training_table(experiment)


def test_a_column_of_weights_may_be_named(files):
    TRAIN.assign(group=list("ghij"), w=2.0).to_csv("train.csv", index=False)
    TEST.assign(weight=[3.0, 5.0]).to_csv("test.csv", index=False)
    first = {**EXAMPLES[0], "columns": {"body": "good", "w": "weight"}}
    data = {"group": "group", "sample_weight": "w"}
    table = read_training_table(with_examples([first, EXAMPLES[1]], data=data))
    assert table.sample_weights.tolist() == [2, 2, 2, 2, 3, 5, 1]
    assert table.groups.tolist() == ["g", "h", "i", "j", "", "", ""]


def test_weights_of_schemes_are_those_of_the_rows_that_remain(files):
    TRAIN.assign(n=[1, 2, 3, 4]).to_csv("train.csv", index=False)
    TEST.assign(rule="R", n=[5, 6]).to_csv("test.csv", index=False)
    weights = {"scheme": ["annotators"], "annotators": "n"}
    examples = [{**EXAMPLES[0], "keep": ["rule", "n"]}, EXAMPLES[1]]
    table = read_training_table(with_examples(examples, sample_weights=weights))
    counts = np.array([1, 2, 3, 4, 5, np.nan])  # "a" of the second test row is a training row's
    np.testing.assert_allclose(table.scheme_factors["annotators"], np.log(counts + 2))


def test_without_ids_rows_are_numbered(files):
    table = read_training_table(with_examples(data={"id": ""}))
    assert table.ids.tolist()[3:] == ["3", "from_test/1/0", "from_test/1/1", "from_test/2/0"]


def test_next_to_several_sources_the_examples_are_one_more(files):
    TRAIN.assign(id=["s0", "s1", "s2", "s3"], body=list("ghij")).to_csv("more.csv", index=False)
    sources = [{"path": "train.csv"}, {"path": "more.csv"}]
    experiment = with_examples(data={"train": sources})
    table = load_training_table(experiment)
    assert table.sources.tolist() == [0] * 4 + [1] * 4 + [2] * 3
    expected = ["more/s3", "from_test/1/t0", "from_test/1/t1", "from_test/2/t0"]
    assert table.ids.tolist()[-4:] == expected
    lines = describe_sources(experiment.data, ["broken", "severe"], table.labels, table.sources)
    assert lines[-1] == "from_test: 3 rows with labels of broken"
    assert rows_per_source(experiment.data, table.sources) == {
        "rows of train": "4", "rows of more": "4", "rows of from_test": "3"}  # fmt: skip


def test_test_rows_that_a_column_marks_bring_examples(files):
    both = pd.concat([TRAIN.assign(part="train"), TEST.assign(part="test")])
    both.to_csv("all.csv", index=False)
    data = {"train": "all.csv", "test": "all.csv", "split": "part"}
    experiment = with_examples(data=data)
    assert read_training_table(experiment).ids.tolist()[4:] == [
        "from_test/1/t0", "from_test/1/t1", "from_test/2/t0"]  # fmt: skip
    assert read_prediction_table(experiment, "all.csv").ids.tolist() == ["t0", "t1"]


FOLDS = [{"n_splits": 3}, {"validation": 0.25}, {"validation": 20}, {"validation": "dev.csv"}]


@pytest.mark.parametrize("folds", FOLDS)
def test_every_fold_trains_on_examples_and_none_validates_on_them(work_dir, folds):
    make_frame(10, seed=3).assign(id=lambda f: "d" + f["id"]).to_csv("dev.csv", index=False)
    make_frame(30, seed=4).rename(columns={"text": "example"}).assign(text="soup").to_csv(
        "test.csv", index=False
    )
    examples = [{"columns": {"text": "example"}, "labels": {"toxic": 1}}]
    data = {"test": "test.csv", "from_test": examples}
    experiment = make_experiment("train.csv", "b", data=data, folds=folds)
    plain = make_experiment("train.csv", "b", folds=folds, name="plain")
    table, stored = create_folds(experiment)
    is_example = table.from_test
    assert is_example.sum() > 20 and (stored[is_example] == -1).all()
    for fold in experiment.folds.names:
        train, valid = split_by_fold(stored, fold)
        assert set(np.flatnonzero(is_example)) <= set(train) and not is_example[valid].any()
    without = create_folds(plain)[1]
    np.testing.assert_array_equal(stored[~is_example], without)


def test_a_trial_on_few_rows_has_its_share_of_examples(work_dir):
    make_frame(60, seed=4).rename(columns={"text": "example"}).assign(text="soup").to_csv(
        "test.csv", index=False
    )
    data = {"test": "test.csv", "rows": 40,
            "from_test": [{"columns": {"text": "example"}, "labels": {"toxic": 1}}]}  # fmt: skip
    experiment = make_experiment("train.csv", "b", data=data)
    table = load_training_table(experiment)
    assert len(table) == 40 and 15 <= table.from_test.sum() <= 25
    folds = assign_folds(experiment, TaskSet.from_experiment(experiment), table)
    assert (folds[table.from_test] == -1).all() and (folds[~table.from_test] >= 0).all()


def test_another_test_file_makes_other_rows(files, monkeypatch):
    """The stored table and the folds are of the examples that the test file had."""
    monkeypatch.setattr("auxfold.data.table_store.RECENT", 0)
    experiment = with_examples(folds={"n_splits": 2})
    table, _ = create_folds(experiment)
    folder = RunFolder.of(experiment).table
    stored = open_table(folder, TableSource(experiment))
    assert stored is not None and stored.from_test.tolist() == table.from_test.tolist()
    TEST.assign(good=["g", "h"]).to_csv("test.csv", index=False)
    os.utime("test.csv", (1, 1))
    assert open_table(folder, TableSource(experiment)) is None
    with pytest.raises(InputError, match="was made from other rows than train.csv .*from_test"):
        create_folds(experiment)
    assert create_folds(experiment, overwrite=True)[0].texts[1][4] == "g"
