"""Files that are not as they were written are refused by name, and intact ones never are."""

from __future__ import annotations

import hashlib
import os
import signal
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from auxfold.errors import InputError
from auxfold.storage import checksums
from auxfold.storage.atomic import read_json, write_frame, write_text
from auxfold.storage.checksums import (
    CHECKSUMS,
    FAST_ALGORITHM,
    atomic_write_checked,
    check_file,
    checksum,
    is_intact,
    read_checksums,
    read_frame,
    read_json_checked,
    write_checksums,
    write_json_checked,
)
from child_processes import fork, names, wait


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1 << 3
    path.write_bytes(content)


def write(path: Path, text: str, algorithm: str = "sha256") -> None:
    atomic_write_checked(path, lambda p: p.write_text(text), algorithm=algorithm)


@pytest.mark.parametrize("algorithm", ["sha256", FAST_ALGORITHM])
@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:7]), "is cut off: it has 7 of 24 bytes"),
        (lambda path: path.write_bytes(b""), "is empty; it had 24 bytes"),
        (Path.unlink, "is missing"),
        (flip_a_bit, "was changed since it was written, or belongs to another run"),
        (lambda path: path.write_text("a file of another run..."), "was changed since it was"),
        (lambda path: path.write_text("longer than what was written"), "was changed since it was"),
    ],
)
def test_damage_is_named(tmp_path, algorithm, damage: Callable[[Path], object], problem):
    path = tmp_path / "weights"
    write(path, "what was written at first", algorithm)
    write(path, "just twenty-four letters", algorithm)
    assert algorithm in read_checksums(tmp_path)["weights"]
    check_file(path)
    damage(path)
    with pytest.raises(InputError) as refusal:
        check_file(path)
    assert str(refusal.value).startswith(f"{path} {problem}")
    assert f"If you changed it on purpose, delete {tmp_path / CHECKSUMS}" in str(refusal.value)
    assert not is_intact(path)
    (tmp_path / CHECKSUMS).unlink()
    check_file(path)


def test_checksums_are_those_that_other_programs_compute(tmp_path):
    content = bytes(range(256)) * 20_000  # several blocks
    path = tmp_path / "a"
    path.write_bytes(content)
    assert checksum(path) == hashlib.sha256(content).hexdigest()
    assert checksum(path, FAST_ALGORITHM) == f"{zlib.crc32(content):08x}"
    write_checksums(tmp_path, ["a"])
    assert read_json(tmp_path / CHECKSUMS) == {
        "files": {"a": {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}}
    }


def test_files_without_an_entry_are_accepted(tmp_path):
    write_text(tmp_path / "old", "of a version without checksums")
    check_file(tmp_path / "old")
    check_file(tmp_path / "missing")
    assert is_intact(tmp_path / "old") and not is_intact(tmp_path / "missing")
    write(tmp_path / "new", "1")
    check_file(tmp_path / "old")


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"files": {"a": 1}}', "\xff"])
def test_damaged_checksums_are_refused_by_name(tmp_path, content):
    write(tmp_path / "a", "1")
    (tmp_path / CHECKSUMS).write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match="checksums.json is damaged; put it back from a copy, or"):
        check_file(tmp_path / "a")
    assert not is_intact(tmp_path / "a")


def write_and_die_before(name: str, path: Path, text: str) -> None:
    """Write a checked file, and get a SIGKILL right before ``name`` would be renamed."""
    replace = os.replace

    def die(source: Path, target: Path) -> None:
        if Path(target).name == name:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    os.replace = die
    write(path, text)


@pytest.mark.parametrize("name", [CHECKSUMS, "state"])
def test_a_killed_process_leaves_a_file_that_matches(tmp_path, name):
    path = tmp_path / "state"
    write(path, "first")
    for text in ("second", "third"):  # killed twice in the same place
        assert wait(fork(partial(write_and_die_before, name, path, text))) == -signal.SIGKILL
        check_file(path)
        assert path.read_text() == "first"
    write(path, "fourth")
    check_file(path)
    assert path.read_text() == "fourth"
    assert list(read_checksums(tmp_path)["state"]) == ["size", "sha256"], "the former one is gone"
    assert names(tmp_path) == [CHECKSUMS, "state"]
    path.write_text("first")
    with pytest.raises(InputError, match="state is cut off"):
        check_file(path)


def test_two_processes_keep_each_others_checksums(tmp_path):
    def write_many(name: str) -> None:
        for number in range(15):
            write(tmp_path / name, f"{name} {number}")

    writers = [fork(partial(write_many, name)) for name in "ab"]
    assert [wait(pid) for pid in writers] == [0, 0]
    assert sorted(read_checksums(tmp_path)) == ["a", "b"]
    check_file(tmp_path / "a")
    check_file(tmp_path / "b")
    assert names(tmp_path) == ["a", "b", CHECKSUMS]


def test_json_and_tables_are_checked(tmp_path):
    write_json_checked(tmp_path / "r.json", {"b": [1, None]})
    assert read_json(tmp_path / "r.json") == {"b": [1, None]}
    assert list(read_checksums(tmp_path)) == ["r.json"]
    frame = pd.DataFrame({"id": ["a", "b"], "x": [0.5, 1.0]})
    write_frame(tmp_path / "f.parquet", frame)
    pd.testing.assert_frame_equal(read_frame(tmp_path / "f.parquet", ["x"]), frame[["x"]])
    flip_a_bit(tmp_path / "f.parquet")
    (tmp_path / "f.parquet").write_bytes((tmp_path / "f.parquet").read_bytes()[:-9])
    with pytest.raises(InputError, match=r"f.parquet is damaged \(.*\); bake it again"):
        read_frame(tmp_path / "f.parquet", remedy="bake it again")
    write_checksums(tmp_path, ["f.parquet"])
    (tmp_path / "f.parquet").write_bytes(b"")
    with pytest.raises(InputError, match=r"f.parquet is empty; .*; bake it again\. If you"):
        read_frame(tmp_path / "f.parquet", remedy="bake it again")


def test_damaged_json_is_refused_with_and_without_a_checksum(tmp_path):
    path = tmp_path / "f.json"
    write_json_checked(path, {"rows": 12})
    assert read_json_checked(path) == {"rows": 12}
    path.write_text(path.read_text().replace("12", "13"))
    with pytest.raises(InputError, match=r"f.json was changed .*; bake it again\. If you"):
        read_json_checked(path, "bake it again")
    (tmp_path / "checksums.json").unlink()
    assert read_json_checked(path) == {"rows": 13}
    for content in (b"", b'{"rows"', b"\xa0"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"f.json is damaged \(.*\); bake it again$"):
            read_json_checked(path, "bake it again")


def test_a_large_file_is_read_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(checksums, "_BLOCK", 7)
    (tmp_path / "a").write_bytes(b"0123456789" * 5)
    assert checksum(tmp_path / "a", FAST_ALGORITHM) == f"{zlib.crc32(b'0123456789' * 5):08x}"
