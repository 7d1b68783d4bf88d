"""Compressed files: every compression of every format, and damaged ones refused."""

from __future__ import annotations

import gzip
import struct
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auxfold.config import Data
from auxfold.data import unpack_limit
from auxfold.data.compressed import read_content
from auxfold.data.files import detect_format, read_columns, read_header
from auxfold.data.reader import describe_data_files, read_data_columns, read_data_header
from auxfold.errors import InputError


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


def write_bomb(folder, suffix, n_bytes):
    """A csv file of zeros, which compress best: a thousand times or more."""
    path, block = folder / f"bomb.csv{suffix}", bytes(1 << 24)
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("bomb.csv", bytes(n_bytes))
        return path
    codec = {".gz": "gzip", ".zst": "zstd"}[suffix]
    with pa.CompressedOutputStream(str(path), codec) as file:
        for _ in range(n_bytes // len(block)):
            file.write(block)
    return path


@pytest.mark.parametrize("suffix", [".gz", ".zip", ".zst"])
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch, suffix):
    """A third of 30 MB may be unpacked; the bomb holds 34 MB."""
    monkeypatch.setattr(unpack_limit, "available_memory", lambda: 30_000_000)
    path = write_bomb(tmp_path, suffix, 1 << 25)
    for read in (read_columns, read_header, detect_format):
        before = pa.total_allocated_bytes()
        with pytest.raises(InputError) as refusal:
            read(path)
        # The exception still holds what was unpacked.
        assert pa.total_allocated_bytes() - before < 20_000_000
    line = str(refusal.value)
    assert line.startswith(f"{path} (") and "\n" not in line
    assert "the limit is 0.01 GB: what a third of the available memory (0.03 GB)" in line
    assert "allow more with data.max_unpacked_gb" in line
    assert read_content(path, max_unpacked_gb=0.04).size == 1 << 25


def test_what_a_gzip_bomb_would_hold_is_known_from_its_beginning(tmp_path):
    path = write_bomb(tmp_path, ".gz", 1 << 25)
    before = pa.total_allocated_bytes()
    with pytest.raises(
        InputError, match=r"unpacks to 0\.03\d+ GB or more, and the limit is 0\.03 GB"
    ):
        read_content(path, max_unpacked_gb=0.03)
    assert pa.total_allocated_bytes() - before < 20_000_000


def test_texts_that_repeat_are_no_bomb(tmp_path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"1,the same text again and again\n" * 1_000_000))
    assert read_content(path, max_unpacked_gb=0.05).size == 32_000_000
    with pytest.raises(InputError, match=r"data\.max_unpacked_gb = 0\.03 allows"):
        read_content(path, max_unpacked_gb=0.03)


def test_an_archive_that_understates_its_size_is_damaged(tmp_path):
    path = write_bomb(tmp_path, ".zip", 1 << 24)
    content = path.read_bytes()
    true, small = (struct.pack("<L", size) for size in (1 << 24, 1000))
    start = content.index(b"PK\x01\x02")  # the directory, after the data
    path.write_bytes(content[:start] + content[start:].replace(true, small))
    with pytest.raises(InputError, match="cannot be read: Bad CRC-32"):
        read_columns(path)


def test_spreadsheets_and_parquet_files_are_bounded(tmp_path):
    pytest.importorskip("python_calamine")
    sheet = write_bomb(tmp_path, ".zip", 1 << 24).rename(tmp_path / "bomb.xlsx")
    with pytest.raises(
        InputError, match=r"bomb.xlsx .* unpacks to 0\.0168 GB .*the limit is 0\.01 GB"
    ):
        read_columns(sheet, max_unpacked_gb=0.01)
    parquet = tmp_path / "bomb.parquet"
    texts = pa.array([f"{number:020d}" * 40 for number in range(2_000)])
    pq.write_table(pa.table({"id": range(2_000), "text": texts}), parquet, use_dictionary=False)
    with pytest.raises(InputError, match=r"bomb.parquet .* the limit is 0\.001 GB"):
        read_columns(parquet, max_unpacked_gb=0.001)
    assert len(read_columns(parquet, ["id"], max_unpacked_gb=0.001)) == 2_000


def test_the_key_of_the_experiment_allows_more(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack_limit, "available_memory", lambda: 3000)
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"id,text\n" + b"1,hello\n" * 1000))
    for read in (lambda data: read_data_columns(data, str(path), ["id"]),
                 lambda data: read_data_header(data, str(path)),
                 lambda data: describe_data_files(data, [str(path)])):  # fmt: skip
        with pytest.raises(InputError, match="data.max_unpacked_gb"):
            read(Data(train=str(path)))
        assert len(read(Data(train=str(path), max_unpacked_gb=0.001))) in (0, 2, 1000)
