"""Compressed files: every compression of every format, and damaged ones refused."""

from __future__ import annotations

import gzip
import zipfile

import pyarrow as pa
import pytest

from auxfold.data.compressed import read_content


def write_zip(path, *names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    return path


def test_every_compression(tmp_path):
    data = b"id,text\n" * 50_000
    compressed = {
        "t.csv": data,
        "t.csv.gz": gzip.compress(data[:1000]) + gzip.compress(data[1000:]),
        "t.csv.ZST": b"".join(
            pa.compress(part, "zstd", asbytes=True) for part in (data[:1000], data[1000:])
        ),
    }
    for name, content in compressed.items():
        (tmp_path / name).write_bytes(content)
        assert read_content(tmp_path / name).to_pybytes() == data, name


def test_a_truncated_file_is_an_error(tmp_path):
    (tmp_path / "t.zst").write_bytes(pa.compress(b"a" * 10_000, "zstd", asbytes=True)[:-4])
    with pytest.raises(OSError, match="Truncated"):
        read_content(tmp_path / "t.zst")


def test_an_archive_holds_one_file(tmp_path):
    path = write_zip(tmp_path / "one.zip", "folder/", "folder/t.csv", "__MACOSX/._t.csv")
    assert read_content(path).to_pybytes() == b"folder/t.csv"
    with pytest.raises(ValueError, match="expected one file in it, found 2"):
        read_content(write_zip(tmp_path / "two.zip", "a.csv", "b.csv"))
