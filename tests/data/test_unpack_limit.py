"""The limit of what a compressed file may hold: memory, a container's limit, the disk, the key."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from auxfold.data import unpack_limit
from auxfold.data.unpack_limit import UnpackLimit, available_memory
from auxfold.errors import InputError

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def files(monkeypatch) -> dict[str, str]:
    """The files of the system, by path."""
    files = {"/proc/meminfo": "MemTotal: 9000 kB\nMemAvailable:    3000 kB\n"}
    monkeypatch.setattr(unpack_limit, "_read", lambda path: files.get(str(path), ""))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 0, 10**12))
    return files


def test_the_available_memory_counts_as_far_as_a_container_may_use_it(files):
    assert available_memory() == 3000 * 1024
    group = "/sys/fs/cgroup"
    files |= {f"{group}/memory.max": "max\n", f"{group}/memory.current": "5\n"}
    assert available_memory() == 3000 * 1024, "no limit"
    files[f"{group}/memory.max"] = "900000\n"
    files[f"{group}/memory.current"] = "700000\n"
    assert available_memory() == 200_000
    files[f"{group}/memory.stat"] = "anon 5\ninactive_file 50000\nactive_file 7\n"
    assert available_memory() == 250_000, "the cache of files gives way"
    files |= {
        f"{group}/memory/memory.limit_in_bytes": "100000",
        f"{group}/memory/memory.usage_in_bytes": "100500",
    }
    assert available_memory() == 0
    files.clear()
    assert available_memory() == 4 << 30, "a system that does not say"


def test_the_least_of_memory_and_disk_is_the_limit_unless_the_key_sets_it(files, monkeypatch):
    assert UnpackLimit.choose(None).n_bytes == 1024 * 1000
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 0, 5000))
    limit = UnpackLimit.choose(None)
    assert limit.n_bytes == 5000 and limit.reason == f"the disk of {Path.cwd()} has free"
    assert UnpackLimit.choose(2.5).n_bytes == 2_500_000_000


def test_the_real_system_has_memory():
    assert available_memory() > 1e8


def test_the_refusal_is_one_line_with_the_key(tmp_path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(bytes(1_500_000))
    limit = UnpackLimit.choose(2)
    limit.check(path, 2_000_000_000)
    with pytest.raises(InputError) as refusal:
        limit.check(path, 2_000_000_001)
    assert str(refusal.value) == (
        f"{path} (1.5 MB) unpacks to 2 GB or more, and the limit is 2 GB: what "
        f"data.max_unpacked_gb = 2 allows; if you trust the file, unpack it, or allow more with "
        f"data.max_unpacked_gb"
    )
