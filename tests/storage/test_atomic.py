"""Files are written completely or not at all, whatever happens to the process or the disk."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from safetensors.torch import save_file

from auxfold.errors import InputError
from auxfold.storage import atomic
from auxfold.storage.atomic import (
    atomic_write,
    atomic_write_files,
    atomic_write_folder,
    write_frame,
    write_json,
    write_text,
)
from child_processes import fork, names, wait, wait_for_file

NUMBERS = np.random.default_rng(0).random(100_000)  # 0.8 MB that no format can compress


def write_arrow(path: Path) -> None:
    table = pa.table({"a": NUMBERS})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


WRITERS: dict[str, Callable[[Path], object]] = {
    "a.txt": lambda path: path.write_bytes(NUMBERS.tobytes()),
    "a.csv": lambda path: pd.DataFrame({"a": NUMBERS}).to_csv(path),
    "a.parquet": lambda path: pd.DataFrame({"a": NUMBERS}).to_parquet(path),
    "a.arrow": write_arrow,
    "a.npy": lambda path: np.save(path, NUMBERS),
    "a.pt": lambda path: torch.save(torch.from_numpy(NUMBERS), path),
    "a.safetensors": lambda path: save_file({"a": torch.from_numpy(NUMBERS)}, path),
}


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "scores.csv"
    write_frame(path, pd.DataFrame({"id": [1]}))
    before = path.read_bytes()

    def write_half(temporary: Path) -> None:
        temporary.write_text("id\n1")
        raise OSError("not about the disk")

    with pytest.raises(OSError, match="not about the disk"):
        atomic_write(path, write_half)
    assert path.read_bytes() == before
    assert names(tmp_path) == ["scores.csv"], "nothing half-written stays"


def test_json_holds_no_nan(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "m.json", {"auc": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_content_is_on_the_disk_before_its_name_and_the_name_afterwards(tmp_path, monkeypatch):
    events: list[tuple[str, str]] = []
    fsync, replace = os.fsync, os.replace

    def record_fsync(descriptor: int) -> None:
        events.append(("sync", os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))))
        fsync(descriptor)

    def record_replace(source: Path, target: Path) -> None:
        events.append(("rename", Path(target).name))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "replace", record_replace)
    folder = tmp_path / "run"
    write_text(folder / "a.txt", "a")
    assert events == [("sync", "a.txt"), ("rename", "a.txt"), ("sync", "run")]
    events.clear()
    atomic_write_folder(folder / "store", lambda path: (path / "b.txt").write_text("b"))
    assert events == [("sync", "b.txt"), ("sync", "store"), ("rename", "store"), ("sync", "run")]
    events.clear()
    atomic_write_files(folder, lambda path: (path / "c.txt").write_text("c"))
    assert events == [("sync", "c.txt"), ("rename", "c.txt"), ("sync", "run")]
    assert names(folder) == ["a.txt", "c.txt", "store"]


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_beyond_the_limit_is_refused_in_one_line(tmp_path, name):
    path = tmp_path / name
    write_text(path, "former")

    def write_beyond_the_limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        with pytest.raises(InputError) as refusal:
            atomic_write(path, WRITERS[name], 800_000)
        assert str(refusal.value) == (
            f"{path} cannot be written: file too large; it needs about 0.8 MB. Make room and start "
            f"the command again; what was there before is unchanged"
        )

    assert wait(fork(write_beyond_the_limit)) == 0
    assert names(tmp_path) == [name] and path.read_text() == "former"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with 0.5 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_refused_in_one_line(small_disk):
    for name, writer in WRITERS.items():
        path = small_disk / "run" / name
        write_text(path, "former")
        with pytest.raises(InputError) as refusal:
            atomic_write(path, writer, 800_000)
        assert f"{path} cannot be written: no space left on device; it needs about" in str(
            refusal.value
        )
        assert "0.8 MB, and 0.5 MB are free. Make room" in str(refusal.value)
        assert names(small_disk / "run") == [name] and path.read_text() == "former"
        path.unlink()
    with pytest.raises(InputError, match=r"store cannot be written: .* more than 0.5 MB, and 0.5"):
        atomic_write_folder(small_disk / "store", lambda path: write_arrow(path / "rows.arrow"))
    with pytest.raises(InputError, match=r"/disk cannot be written: no space left"):
        atomic_write_files(small_disk, lambda path: WRITERS["a.npy"](path / "a.npy"))
    assert names(small_disk) == ["run"]


def test_a_refusal_within_a_write_stays_as_it_is(tmp_path):
    def refuse(temporary: Path) -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise InputError("no room for the model's download") from error

    with pytest.raises(InputError, match="^no room for the model's download$"):
        atomic_write(tmp_path / "a", refuse)


def start_slow_write(path: Path) -> int:
    """Another process that is in the middle of writing a file."""

    def write(temporary: Path) -> None:
        temporary.write_text("half")
        time.sleep(60)

    pid = fork(partial(atomic_write, path, write))
    wait_for_file(f".auxfold-*/{path.name}", path.parent)
    return pid


def test_leftovers_of_a_killed_process_go_and_those_of_a_living_one_stay(tmp_path):
    living, killed = (start_slow_write(tmp_path / name) for name in ("living", "killed"))
    try:
        os.kill(killed, signal.SIGKILL)
        wait(killed)
        assert len(names(tmp_path)) == 2, "both have begun"
        write_text(tmp_path / "third", "3")
        leftover, third = names(tmp_path)
        assert names(tmp_path / leftover) == [".lock", "living"] and third == "third"
    finally:
        os.kill(living, signal.SIGKILL)
        wait(living)
    atomic.remove_leftovers(tmp_path)
    assert names(tmp_path) == ["third"]


def test_leftovers_of_another_host_go_after_a_day(tmp_path):
    old, new = tmp_path / ".auxfold-elsewhere-01", tmp_path / ".auxfold-elsewhere-02"
    for folder in (old, new):
        folder.mkdir()
        (folder / "a").write_text("half")
    os.utime(old, (time.time() - 90_000, time.time() - 90_000))
    atomic.remove_leftovers(tmp_path)
    assert names(tmp_path) == [new.name], "its writer may be alive"


def test_processes_with_equal_numbers_do_not_collide(tmp_path, monkeypatch):
    """As in two containers on one volume, where the training has the same number in both."""
    monkeypatch.setattr(os, "getpid", lambda: 7)
    contents = {letter: letter * 100_000 for letter in "ab"}

    def write_many(text: str) -> None:
        for _ in range(20):
            write_text(tmp_path / "shared", text)
            assert (tmp_path / "shared").read_text() in contents.values()

    writers = [fork(partial(write_many, text)) for text in contents.values()]
    assert [wait(pid) for pid in writers] == [0, 0]
    assert names(tmp_path) == ["shared"]


def test_a_folder_stays_unless_it_is_overwritten(tmp_path):
    for text, overwrite in (("first", False), ("second", False)):
        atomic_write_folder(
            tmp_path / "store", lambda path, t=text: (path / t).write_text(t), overwrite=overwrite
        )
    assert names(tmp_path / "store") == ["first"]
    atomic_write_folder(
        tmp_path / "store", lambda path: (path / "third").write_text("3"), overwrite=True
    )
    assert names(tmp_path / "store") == ["third"] and names(tmp_path) == ["store"]


@pytest.mark.parametrize(("n_renamed", "content"), [(0, "first"), (1, "first"), (2, "second")])
def test_a_folder_is_not_lost_while_it_is_replaced(tmp_path, n_renamed, content):
    """A process is killed after some of its two renames; the next write finds what it left."""
    write = {text: lambda path, t=text: (path / t).write_text(t) for text in ("first", "second")}
    atomic_write_folder(tmp_path / "store", write["first"])

    def replace_and_die() -> None:
        rename, left = os.replace, iter(range(n_renamed))

        def rename_some(*paths: Path) -> None:
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            rename(*paths)

        os.replace = rename_some
        atomic_write_folder(tmp_path / "store", write["second"], overwrite=True)
        os.kill(os.getpid(), signal.SIGKILL)

    assert wait(fork(replace_and_die)) == -signal.SIGKILL
    write_text(tmp_path / "other", "1")
    assert names(tmp_path) == ["other", "store"] and names(tmp_path / "store") == [content]


def test_files_are_added_to_a_folder_with_those_below_it(tmp_path):
    write_text(tmp_path / "a.txt", "former")
    write_text(tmp_path / "b.txt", "stays")

    def write(folder: Path) -> None:
        (folder / "a.txt").write_text("new")
        (folder / "below").mkdir()
        (folder / "below/c.txt").write_text("c")

    assert atomic_write_files(tmp_path, write) == ["a.txt", "below/c.txt"]
    assert (tmp_path / "a.txt").read_text() == "new"
    assert (tmp_path / "b.txt").read_text() == "stays"
    assert names(tmp_path) == ["a.txt", "b.txt", "below"]
