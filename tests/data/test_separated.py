"""CSV and TSV: separators, quotes, line ends, blank lines and columns without a name."""

from __future__ import annotations

import pandas as pd
import pytest

from auxfold.data.files import detect_format, read_columns, read_header
from auxfold.errors import InputError


def write(folder, content: str, name: str = "t.csv"):
    path = folder / name
    path.write_bytes(content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "separator"),
    [
        ("id,text\n1,a;b\n2,c\n", ","),
        ("id;text\n1;gut, aber lang\n2;3,5\n", ";"),
        ("id\ttext\n1\ta,b\n", "\t"),
        ("id|text\n1|a,b\n2|c\n", "|"),
        ('id;text\n1;"a;b\n,c"\n2;d\n', ";"),
        ("sep=;\r\nid;text\r\n1;a,b\r\n", ";"),
        ('"sep=|"\nid|text\n1|a\n', "|"),
        ("text\ngood; but long\nbad\n", ","),
        ("text|raw\nonly one column\nas here\n", ","),
    ],
)
def test_the_separator_gives_every_row_the_fields_of_the_header(tmp_path, content, separator):
    path = write(tmp_path, content)
    assert detect_format(path).separator == separator
    has_id = content.lower().strip('"').startswith(("id", "sep"))
    assert read_columns(path).columns.tolist()[0] == ("id" if has_id else content.split("\n")[0])


def test_cells_of_a_semicolon_file(tmp_path):
    path = write(tmp_path, 'id;text\n1;"a;b\n,c"\n2;3,5\n')
    assert read_columns(path).to_dict("list") == {"id": ["1", "2"], "text": ["a;b\n,c", "3,5"]}
    assert read_header(path) == ["id", "text"]


def test_two_possible_separators_are_settled_by_the_key(tmp_path):
    path = write(tmp_path, "a;b|c\n1;2|3\n")
    with pytest.raises(InputError, match=r"';' or '\|' could separate the columns; .*separator"):
        read_columns(path)
    assert read_header(path, separator="|") == ["a;b", "c"]
    assert read_columns(path, separator=";").to_dict("list") == {"a": ["1"], "b|c": ["2|3"]}
    # The key does not turn a file without that separator into one column.
    path = write(tmp_path, "id,text\n1,a\n")
    assert read_columns(path, ["text"], separator=";")["text"].tolist() == ["a"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(tmp_path, end):
    path = write(tmp_path, end.join(["id,text", "1,a", "", '2,"b"', "3,c"]) + end)
    assert read_columns(path).to_dict("list") == {"id": ["1", "2", "3"], "text": ["a", "b", "c"]}
    path = write(tmp_path, end.join(["id,text", '1,"open', "2,b", '3,c" x']))
    with pytest.raises(InputError, match="line 2: .* expected after"):
        read_columns(path)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_empty_rows_of_one_column_are_empty_cells(tmp_path, end):
    path = write(tmp_path, end.join(["", "text", "a", "", '""', "b", ""]))
    assert read_columns(path)["text"].tolist() == ["a", "", "", "b"]


def test_quotes_after_a_backslash_are_read_where_all_are_written_so(tmp_path):
    path = write(tmp_path, 'id,text\n1,"she said \\"hi, you\\" twice"\n2,"a \\\\ b"\n3,plain\n')
    assert read_columns(path)["text"].tolist() == ['she said "hi, you" twice', "a \\ b", "plain"]
    assert detect_format(path).notes == ('read with \\" for a quote inside of a text',)


@pytest.mark.parametrize(
    ("text", "expected"),
    [('"C:\\dir\\"', "C:\\dir\\"), ('"a \\""b\\"" c"', 'a \\"b\\" c'), ('5\\" pipe', '5\\" pipe')],
)
def test_a_backslash_is_a_plain_character_in_ordinary_files(tmp_path, text, expected):
    path = write(tmp_path, f"id,text\n1,{text}\n2,b\n")
    assert read_columns(path)["text"].tolist() == [expected, "b"]
    assert detect_format(path).notes == ()


@pytest.mark.parametrize(
    "text", ['"he said \\"hi\\" in C:\\new"', '"good" movie', '"one \\"two" and']
)
def test_quotes_of_which_some_would_vanish_are_refused(tmp_path, text):
    with pytest.raises(InputError, match="line 2: .* expected after"):
        read_columns(write(tmp_path, f"id,text\n1,{text}\n2,b\n"))


def test_columns_without_a_name_are_left_out_and_it_is_said_where_they_have_values(tmp_path):
    path = write(tmp_path, "v1,v2,,\nham,a,,\nspam,b, ,\n")
    assert read_columns(path).to_dict("list") == {"v1": ["ham", "spam"], "v2": ["a", "b"]}
    assert read_header(path) == ["v1", "v2"]
    assert detect_format(path).notes == ("columns without a name are not read: 3, 4",)
    path = write(tmp_path, ",text\n7,a\n2,b\n")  # pandas after a shuffle
    assert read_columns(path).to_dict("list") == {"text": ["a", "b"]}
    assert detect_format(path).notes == ("columns without a name are not read: 1",)
    path = write(tmp_path, ",text,\n7,a,\n7,b, rest\n8,c,\n")
    assert read_columns(path).to_dict("list") == {"text": ["a", "b", "c"]}
    note = "columns without a name are not read: 1, 3, although 3 rows have values there"
    assert detect_format(path).notes == (note,)


def test_a_damaged_row_is_named_next_to_unnamed_columns(tmp_path):
    with pytest.raises(InputError, match="Expected 3 columns, got 2"):
        read_columns(write(tmp_path, "id,text,\n1,a,\n2,b\n"))


def test_long_texts_and_many_columns(tmp_path):
    long = "x, " * 100_000
    path = write(tmp_path, f'id;text\n1;"{long}"\n2;b\n')
    assert read_columns(path)["text"].tolist() == [long, "b"]
    frame = pd.DataFrame([["1"] * 2000], columns=[f"column {n} {'x' * 150}" for n in range(2000)])
    frame.to_csv(tmp_path / "wide.csv", index=False)
    assert read_columns(tmp_path / "wide.csv").shape == (1, 2000)


def test_a_utf8_character_at_the_end_of_the_sample(tmp_path):
    rows = "".join(f"{n},é{'ü' * (n % 7)}\n" for n in range(60_000))
    frame = read_columns(write(tmp_path, "id,text\n" + rows))
    assert len(frame) == 60_000 and frame["text"].iloc[6] == "éüüüüüü"
