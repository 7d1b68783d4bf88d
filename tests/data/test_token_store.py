"""Tokens are stored once and shared."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from auxfold.data import token_store
from auxfold.data.token_store import tokenize_column
from auxfold.errors import InputError
from child_processes import fork, names, wait
from conftest import make_tokenizer

TEXTS = ["the garden", "soup", "a rain", "the the the"] * 3


def test_tokens_are_stored_once_and_shared(tmp_path):
    tokenizer = make_tokenizer()
    tokenize_column(["the garden", "soup"], tokenizer, tmp_path)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npy")}
    column = tokenize_column(["the garden", "soup"], tokenizer, tmp_path)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npy")} == before
    assert isinstance(column.ids, np.memmap)
    tokenize_column(["the garden", "soup "], tokenizer, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1 << 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


@pytest.mark.parametrize("name", ["ids.npy", "offsets.npy", "checksums.json"])
@pytest.mark.parametrize("damage", [flip_a_bit, cut, lambda path: path.write_bytes(b"")])
def test_damaged_tokens_are_made_again(tmp_path, capsys, name, damage: Callable[[Path], object]):
    tokenizer = make_tokenizer()
    expected = tokenize_column(TEXTS, tokenizer, tmp_path)
    ids, offsets = np.array(expected.ids), expected.offsets
    (folder,) = tmp_path.iterdir()
    damage(folder / name)
    column = tokenize_column(TEXTS, tokenizer, tmp_path)
    assert capsys.readouterr().err == f"note: {folder} is damaged; tokenizing the texts again\n"
    np.testing.assert_array_equal(column.ids, ids)
    np.testing.assert_array_equal(column.offsets, offsets)
    tokenize_column(TEXTS, tokenizer, tmp_path)
    assert not capsys.readouterr().err and names(tmp_path) == [folder.name]


def test_tokens_of_an_earlier_version_are_used_unless_they_cannot_be_read(tmp_path, capsys):
    tokenizer = make_tokenizer()
    tokenize_column(TEXTS, tokenizer, tmp_path)
    (folder,) = tmp_path.iterdir()
    (folder / "checksums.json").unlink()
    before = (folder / "ids.npy").stat().st_mtime_ns
    tokenize_column(TEXTS, tokenizer, tmp_path)
    assert (folder / "ids.npy").stat().st_mtime_ns == before
    cut(folder / "offsets.npy")
    tokenize_column(TEXTS, tokenizer, tmp_path)
    assert "is damaged" in capsys.readouterr().err and (folder / "checksums.json").is_file()


def test_processes_that_store_the_same_tokens_share_them(tmp_path, monkeypatch):
    """Folds that start at once, in two containers where both have the same number."""
    monkeypatch.setattr("os.getpid", lambda: 7)
    tokenizer = make_tokenizer()
    expected = tokenize_column(TEXTS, tokenizer, None)

    def tokenize() -> None:
        column = tokenize_column(TEXTS, tokenizer, tmp_path)
        np.testing.assert_array_equal(column.ids, expected.ids)

    for _ in range(3):
        processes = [fork(tokenize) for _ in range(4)]
        assert [wait(pid) for pid in processes] == [0] * 4
        (folder,) = tmp_path.iterdir()
        shutil.rmtree(folder)


def test_a_full_disk_leaves_no_tokens(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(token_store.np, "save", full)
    with pytest.raises(InputError, match=r"cannot be written: no space left on device; it needs"):
        tokenize_column(TEXTS, make_tokenizer(), tmp_path)
    assert names(tmp_path) == []
