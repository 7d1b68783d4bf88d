"""Words as binary labels: pairs of words, a positive word, and -1 next to 1."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from auxfold.config import BinarySettings
from auxfold.data.binary_labels import find_word_pair
from auxfold.data.labels import parse_labels
from auxfold.data.loading import read_training_table
from auxfold.errors import InputError
from auxfold.training.split import load_training_table
from conftest import make_experiment

NAN = np.nan


def parse(cells: list[str], **settings: object) -> tuple[list[float], list[str]]:
    task = BinarySettings(name="t", kind="binary", columns=["y"], **settings)
    values, notes = parse_labels(pd.DataFrame({"y": cells}, dtype="str"), task, "f.csv")
    return values[:, 0].tolist(), notes


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["yes", "No", " YES ", "no"], [1, 0, 1, 0]),
        (["y", "N"], [1, 0]),
        (["True", "false"], [1, 0]),
        (["t", "F"], [1, 0]),
        (["neg", "POS"], [0, 1]),
        (["negative", "Positive"], [0, 1]),
        (["yes", "yes"], [1, 1]),
        (["-1", "1", "1"], [0, 1, 1]),
        (["-1.0", "1.0"], [0, 1]),
        (["0", "1", "0.25"], [0, 1, 0.25]),
        (["1", "1"], [1, 1]),
        (["-1", "-1"], [-1, -1]),  # not both: BinaryTask refuses it
        (["-1", "0", "1"], [-1, 0, 1]),
    ],
)
def test_numbers_and_pairs_of_words(cells, expected):
    assert parse(cells)[0] == expected


def test_an_empty_cell_and_words_for_it_are_not_labeled():
    values, notes = parse(["yes", "", "nan", "no", "NaN", "nan"])
    np.testing.assert_array_equal(values, [1, NAN, NAN, 0, NAN, NAN])
    assert notes == [
        "y: 'no' is read as 0 and 'yes' as 1",
        "y: 'nan' is read as not labeled (2 rows)",
        "y: 'NaN' is read as not labeled (1 row)",
    ]


def test_what_was_read_in_its_own_way_is_said():
    assert parse(["-1", "1", ""])[1] == ["y: -1 and 1 are read as 0 and 1"]
    assert parse(["pos", "neg"])[1] == ["y: 'neg' is read as 0 and 'pos' as 1"]
    assert parse(["0", "1", ""])[1] == parse(["true", "false"])[1] == []


@pytest.mark.parametrize("cells", [["yes", "true"], ["yes", "1"], ["y", "no"], ["yes", "maybe"]])
def test_words_of_two_pairs_are_refused(cells):
    with pytest.raises(InputError, match=r"column 'y', row 1: .* is not a number .*tasks\.t\.pos"):
        parse(cells)
    assert find_word_pair(pd.Series(cells)) is None


def test_the_positive_word_is_1_and_any_other_0():
    cells = ["spam", "ham", " SPAM", "", "promo", "ham", "nan", "none"]
    values, notes = parse(cells, positive="Spam")
    np.testing.assert_array_equal(values, [1, 0, 1, NAN, 0, 0, NAN, 0])
    assert notes == [
        "y: 1 is 'spam' (1), 'SPAM' (1); 0 is any other value: 'ham' (2), 'promo' (1), 'none' (1)",
        "y: 'nan' is read as not labeled (1 row)",
    ]
    assert parse(["1", "2"], positive="2")[0] == [0, 1]
    assert parse(["yes", "no"], positive="no")[0] == [0, 1]
    assert parse(["none", "some"], positive="None")[0] == [1, 0]


def test_a_positive_word_per_column():
    task = BinarySettings(
        name="t", kind="binary", columns=["a", "b", "c"], positive="x", positives={"b": "buy"}
    )
    frame = pd.DataFrame({"a": ["x", "y"], "b": ["x", "buy"], "c": ["z", "x"]})
    np.testing.assert_array_equal(parse_labels(frame, task, "f").values, [[1, 0, 0], [0, 1, 1]])
    assert task.positive_word("b") == "buy"


def labeled_file(path, labels):
    rows = {"id": range(len(labels)), "text": "a good train", "y": labels}
    pd.DataFrame(rows).to_csv(path, index=False)
    return str(path)


def test_a_positive_word_that_never_occurs_is_refused(tmp_path):
    path = labeled_file(tmp_path / "t.csv", ["spam", "ham", "ham"])
    task = {"name": "t", "kind": "binary", "columns": ["y"], "positive": "span"}
    with pytest.raises(InputError) as error:
        read_training_table(make_experiment(path, "b", tasks=[task]))
    assert str(error.value) == (
        f"{path}: column 'y' never holds 'span', the positive word of tasks.t (did you mean "
        f"'spam'?); its values are 'ham' (2), 'spam' (1)"
    )


def test_one_of_several_files_may_lack_the_positive_word(tmp_path):
    train = labeled_file(tmp_path / "t.csv", ["spam", "ham", "ham"])
    rows = {"id": [8, 9], "text": "rain", "y": "ham"}
    pd.DataFrame(rows).to_csv(tmp_path / "v.csv", index=False)
    validation = str(tmp_path / "v.csv")
    task = {"name": "t", "kind": "binary", "columns": ["y"], "positive": "spam"}
    experiment = make_experiment(train, "b", tasks=[task], folds={"validation": validation})
    table = read_training_table(experiment)
    assert table.labels[:, 0].tolist() == [1, 0, 0, 0, 0]
    assert table.notes == [
        f"{train}: y: 1 is 'spam' (1); 0 is any other value: 'ham' (2)",
        f"{validation}: y: 1 is no value; 0 is any other value: 'ham' (2)",
    ]


def test_minus_one_next_to_zero_is_refused_with_its_row(tmp_path):
    path = labeled_file(tmp_path / "t.csv", ["1", "0", "-1"])
    task = {"name": "t", "kind": "binary", "columns": ["y"]}
    with pytest.raises(InputError, match="column 'y', row 3: label -1; a binary label lies in .*"):
        load_training_table(make_experiment(path, "b", tasks=[task]))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"positives": {"z": "yes"}}, "positives names the column 'z'"),
        ({"positive": " "}, "a positive word is empty"),
    ],
)
def test_settings_that_name_nothing_are_refused(settings, expected):
    with pytest.raises(ValueError, match=expected):
        BinarySettings(name="t", kind="binary", columns=["y"], **settings)
