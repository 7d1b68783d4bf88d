"""Tables of an experiment: nothing is dropped, cast or filled silently."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from auxfold.config.experiment import Experiment
from auxfold.data.loading import read_prediction_table, read_training_table
from auxfold.errors import InputError
from conftest import make_experiment

FRAME = pd.DataFrame(
    {
        "id": ["007", "1e5", "x,y"],
        "text": ["NA", 'null "quoted"\nline', ""],
        "toxic": ["0.5", "", "1"],
        "insult": ["NaN", "1", "0"],
        "threat": ["0", "1", " 0.25 "],
    }
)


def test_labels_weights_and_texts(tmp_path):
    path = str(tmp_path / "t.csv")
    FRAME.assign(w=[1, 2, 0.5]).to_csv(path, index=False)
    experiment = make_experiment(path, "b", data={"train": path, "sample_weight": "w"})
    table = read_training_table(experiment)
    assert table.ids.tolist() == ["007", "1e5", "x,y"]
    assert table.texts == [["NA", 'null "quoted"\nline', ""]]
    np.testing.assert_array_equal(
        table.labels, np.array([[0.5, np.nan, 0], [np.nan, 1, 1], [1, 0, 0.25]], dtype=np.float32)
    )
    assert table.sample_weights.tolist() == [1.0, 2.0, 0.5]


def test_numbers_in_parquet_are_read_as_numbers(tmp_path):
    path = str(tmp_path / "t.parquet")
    pd.DataFrame(
        {"id": [1, 2], "text": ["a", None], "toxic": [0.25, None], "insult": [True, False],
         "threat": [1, 0]}
    ).to_parquet(path)  # fmt: skip
    table = read_training_table(make_experiment(path, "b"))
    assert table.ids.tolist() == ["1", "2"] and table.texts == [["a", ""]]
    np.testing.assert_array_equal(table.labels, [[0.25, 1, 1], [np.nan, 0, 0]])


def test_a_fingerprint_sees_every_cell(tmp_path):
    path = str(tmp_path / "t.csv")
    fingerprints = set()
    for column, value in ((None, None), ("id", "8"), ("text", "x"), ("toxic", "0.75")):
        frame = FRAME.copy()
        if column:
            frame.loc[1, column] = value
        frame.to_csv(path, index=False)
        fingerprints.add(read_training_table(make_experiment(path, "b")).fingerprint())
    assert len(fingerprints) == 4


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"id": ["1", "", "2"]}, "column 'id' is empty in row 2"),
        ({"w": ["1", "-1", "1"]}, "column 'w', row 2: a row weight must be a number >= 0"),
        ({"toxic": ["1", "inf", "0"]}, "column 'toxic', row 2: 'inf' is not a number"),
    ],
)
def test_unusable_cells_are_named(tmp_path, change, expected):
    path = str(tmp_path / "t.csv")
    FRAME.assign(**{"w": ["1", "1", "1"], **change}).to_csv(path, index=False)
    with pytest.raises(InputError, match=expected):
        read_training_table(make_experiment(path, "b", data={"train": path, "sample_weight": "w"}))


def with_identities(path: str, *columns: str) -> Experiment:
    return make_experiment(path, "b", identities={"columns": list(columns)})


def test_identities_are_shares_and_empty_is_not_annotated(tmp_path):
    path = str(tmp_path / "t.csv")
    FRAME.assign(male=["0.5", "", "1"], black=["", "nan", "0"]).to_csv(path, index=False)
    table = read_training_table(with_identities(path, "black", "male"))
    nan = np.nan
    expected = np.array([[nan, 0.5], [nan, nan], [0, 1]], dtype=np.float32)
    np.testing.assert_array_equal(table.identities, expected)
    np.testing.assert_array_equal(table.take(np.array([2, 0])).identities, expected[[2, 0]])
    assert read_training_table(make_experiment(path, "b")).identities.shape == (3, 0)
    assert read_prediction_table(with_identities(path, "male"), path).identities.shape == (3, 0)


def test_a_label_column_may_be_an_identity_too(tmp_path):
    path = str(tmp_path / "t.csv")
    FRAME.to_csv(path, index=False)
    table = read_training_table(with_identities(path, "threat"))
    np.testing.assert_array_equal(table.identities[:, 0], table.labels[:, 2])


def test_identities_count_in_the_fingerprint_where_there_are_any(tmp_path):
    path = str(tmp_path / "t.csv")
    FRAME.assign(male=["0.5", "", "1"]).to_csv(path, index=False)
    plain = read_training_table(make_experiment(path, "b")).fingerprint()
    first = read_training_table(with_identities(path, "male")).fingerprint()
    FRAME.assign(male=["0.5", "0", "1"]).to_csv(path, index=False)
    assert (
        read_training_table(make_experiment(path, "b")).fingerprint() == plain == "1cb687fc356344bd"
    )
    assert (
        len({plain, first, read_training_table(with_identities(path, "male")).fingerprint()}) == 3
    )


def test_an_identity_outside_its_range_or_twice_is_refused(tmp_path):
    path = str(tmp_path / "t.csv")
    FRAME.assign(male=["0.5", "2", "1"]).to_csv(path, index=False)
    with pytest.raises(InputError, match="'male', row 2: identity 2; an identity lies in .0, 1"):
        read_training_table(with_identities(path, "male"))
    with pytest.raises(InputError, match="no column 'mael' .did you mean 'male'"):
        read_training_table(with_identities(path, "mael"))
    with pytest.raises(InputError, match="identities: columns holds a name twice"):
        with_identities(path, "male", "male")


def test_a_pair_is_two_columns(tmp_path):
    path = str(tmp_path / "t.csv")
    FRAME.assign(other=["p", "q", "r"]).to_csv(path, index=False)
    experiment = make_experiment(path, "b", data={"train": path, "text": ["text", "other"]})
    assert read_prediction_table(experiment, path).texts[1] == ["p", "q", "r"]
