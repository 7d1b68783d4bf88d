"""Reading files: every value is a string, and a damaged file is refused."""

from __future__ import annotations

import json
import zipfile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auxfold.data.files import describe_format, read_columns, read_header
from auxfold.errors import InputError

FRAME = pd.DataFrame(
    {
        "id": ["007", "1e5", "x,y"],
        "text": ["NA", 'null "quoted"\nline', ""],
        "toxic": ["0.5", "", "1"],
        "insult": ["NaN", "1", "0"],
        "threat": ["0", "1", " 0.25 "],
    }
)


def compress(path, suffix: str):
    data = path.read_bytes()
    target = path.with_name(path.name + suffix)
    if suffix == ".zip":
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr(path.name, data)
    else:
        codec = {".gz": "gzip", ".zst": "zstd"}[suffix]
        target.write_bytes(pa.compress(data, codec, asbytes=True))
    return target


@pytest.mark.parametrize("compression", ["", ".gz", ".zip", ".zst"])
@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.parquet", "t.jsonl"])
def test_every_format_gives_the_same_strings(tmp_path, name, compression):
    path = tmp_path / name
    if "parquet" in name:
        FRAME.to_parquet(path)
    elif "jsonl" in name:
        FRAME.to_json(path, orient="records", lines=True)
    else:
        FRAME.to_csv(path, index=False, sep="\t" if "tsv" in name else ",")
    path = compress(path, compression) if compression else path
    pd.testing.assert_frame_equal(
        read_columns(path).astype(object), FRAME.astype(object), check_dtype=False
    )
    assert list(read_columns(path, ["threat", "id"]).columns) == ["threat", "id"]
    assert read_header(path) == list(FRAME)
    assert describe_format(path) == []


def test_unknown_formats_and_broken_files(tmp_path):
    (tmp_path / "t.docx").write_text("x")
    with pytest.raises(InputError, match="unknown format"):
        read_columns(tmp_path / "t.docx")
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


def test_integers_next_to_a_null_keep_their_digits_in_every_format(tmp_path):
    author = 1344800117571260417
    table = pa.table({"text": ["a", "b", "c"], "author": pa.array([author, None, author + 1])})
    pq.write_table(table, tmp_path / "t.parquet")
    rows = "".join(f"{json.dumps(row)}\n" for row in table.to_pylist())
    (tmp_path / "t.jsonl").write_text(rows)
    (tmp_path / "t.csv").write_text(f"text,author\na,{author}\nb,\nc,{author + 1}\n")
    for name in ("t.parquet", "t.jsonl", "t.csv"):
        authors = read_columns(tmp_path / name, ["author"])["author"].tolist()
        assert authors == [str(author), "", str(author + 1)], name


def test_floats_without_the_digits_of_an_id_are_refused_where_they_are_read(tmp_path):
    path = tmp_path / "t.parquet"
    pd.DataFrame({"text": ["a", "b"], "author": [1344800117571260417, None]}).to_parquet(path)
    with pytest.raises(InputError, match="column 'author', row 1: .* store the column as integers"):
        read_columns(path, ["author"])
    assert read_columns(path)["author"].tolist() == ["1.3448001175712604e+18", ""]


def test_an_index_of_a_parquet_file_is_a_column_where_it_has_a_name(tmp_path):
    path = tmp_path / "t.parquet"
    frame = pd.DataFrame({"text": ["a", "b"]}, index=pd.Index(["x", "y"], name="id"))
    frame.to_parquet(path)
    assert read_header(path) == ["text", "id"]
    assert read_columns(path, ["id"])["id"].tolist() == ["x", "y"]
    frame.rename_axis(None).to_parquet(path)
    assert read_header(path) == ["text"]
    assert read_columns(path).to_dict("list") == {"text": ["a", "b"]}
