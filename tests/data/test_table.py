"""Reading tables: nothing is dropped, cast or filled silently."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from auxfold.config.experiment import Experiment
from auxfold.data.files import read_columns
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


@pytest.mark.parametrize(
    "name", ["t.csv", "t.tsv", "t.csv.gz", "t.csv.zip", "t.parquet", "t.jsonl"]
)
def test_every_format_gives_the_same_strings(tmp_path, name):
    path = tmp_path / name
    if "parquet" in name:
        FRAME.to_parquet(path)
    elif "jsonl" in name:
        FRAME.to_json(path, orient="records", lines=True)
    else:
        FRAME.to_csv(path, index=False, sep="\t" if "tsv" in name else ",")
    pd.testing.assert_frame_equal(
        read_columns(path).astype(object), FRAME.astype(object), check_dtype=False
    )
    assert list(read_columns(path, ["threat", "id"]).columns) == ["threat", "id"]


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
    prints = set()
    for column, value in ((None, None), ("id", "8"), ("text", "x"), ("toxic", "0.75")):
        frame = FRAME.copy()
        if column:
            frame.loc[1, column] = value
        frame.to_csv(path, index=False)
        prints.add(read_training_table(make_experiment(path, "b")).fingerprint())
    assert len(prints) == 4


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


def test_unknown_formats_and_broken_files(tmp_path):
    (tmp_path / "t.xlsx").write_text("x")
    with pytest.raises(InputError, match="unknown format"):
        read_columns(tmp_path / "t.xlsx")
    (tmp_path / "t.parquet").write_text("not parquet")
    with pytest.raises(InputError, match="cannot be read"):
        read_columns(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("t.csv", "id,text\n1,a\n2,good, but long\n", "Row #3: Expected 2 columns, got 3"),
        ("t.csv", "id,text\n1,a,0\n2,b,1\n", "Row #2: Expected 2 columns, got 3"),
        ("t.csv", "id,text,toxic\nr1,hi\n", "Row #2: Expected 3 columns, got 2"),
        ("t.csv", "id,text,text\n1,a,b\n", "two columns are called 'text'"),
        ("t.csv", 'id,text\n1,"open\n2,b\n', "line 2: unexpected end of data"),
        ("t.csv", 'id,text,o\n1,a,"x\n2,b,c\n', "line 2: unexpected end of data"),
        ("t.csv", 'id,text,o\n1,a,b\n2,"oops,0\n3,c,1\n4,"d",0\n', "line 3: ',' expected after"),
        ("t.csv", 'id,text\n1,"oops\n2,fine\n3,x" is\n4,b\n', "line 2: ',' expected after"),
        ("t.csv", 'id,"text\n' + "1,a\n" * 50_000, "cannot be read: field larger than"),
        ("t.tsv", 'id\ttext\n1\t"a\n2\tb"c\n3\td\n', "line 2: .* expected after"),
        ("t.csv", "", "Empty CSV file"),
        ("t.csv.gz", "no gzip", "Not a gzipped file"),
        ("t.csv.zip", "PK", "not a zip file"),
    ],
)
def test_rows_that_would_shift_or_vanish_are_refused(tmp_path, name, content, expected):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=expected):
        read_columns(tmp_path / name, ["id", "text"])


def test_quotes_inside_a_text_are_text(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('\ufeffid,text\n1,a 5" pipe\n2,"say ""hi"",\nplease"\n\n3,\n', encoding="utf-8")
    frame = read_columns(path)
    assert frame["id"].tolist() == ["1", "2", "3"]
    assert frame["text"].tolist() == ['a 5" pipe', 'say "hi",\nplease', ""]


def test_tabs_and_lines_inside_quotes_are_text(tmp_path):
    frame = pd.DataFrame({"id": ["1", "2"], "text": ["a\tb\nc", 'say "x"\n\nplease']})
    frame.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    assert read_columns(tmp_path / "t.tsv")["text"].tolist() == frame["text"].tolist()


def test_blank_lines_before_the_header(tmp_path):
    (tmp_path / "t.csv").write_text("\n\nid,text\n1,a\n")
    assert read_columns(tmp_path / "t.csv").to_dict("list") == {"id": ["1"], "text": ["a"]}


def test_bytes_are_not_text(tmp_path):
    pd.DataFrame({"id": [1], "text": [b"hello"]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match="column 'text' holds bytes"):
        read_columns(tmp_path / "t.parquet")


def test_a_pair_is_two_columns(tmp_path):
    path = str(tmp_path / "t.csv")
    FRAME.assign(other=["p", "q", "r"]).to_csv(path, index=False)
    experiment = make_experiment(path, "b", data={"train": path, "text": ["text", "other"]})
    assert read_prediction_table(experiment, path).texts[1] == ["p", "q", "r"]
