"""How large the content of a compressed file may be: what free memory and disk can hold."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from auxfold.errors import InputError

# The memory that reading a file takes, as a multiple of its content: the content itself, its
# columns in Arrow and in pandas (3.1 to 3.4 measured, csv with texts of 200 characters).
MEMORY_FACTOR = 3
# Folders of control groups (version 2, version 1) with the names of limit, usage and file cache.
_CONTROL_GROUPS = (
    ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    (
        "/sys/fs/cgroup/memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
)


@dataclass(frozen=True)
class UnpackLimit:
    """The most bytes that a compressed file may hold.

    Attributes:
        n_bytes: the limit.
        reason: what it comes from, for the message.
    """

    n_bytes: int
    reason: str

    @classmethod
    def choose(cls, max_unpacked_gb: float | None) -> UnpackLimit:
        """The limit that ``data.max_unpacked_gb`` sets, else that of free memory and disk.

        The disk counts since ``outputs/`` gets the rows as a table of about the same size.
        """
        if max_unpacked_gb is not None:
            gigabytes = f"{max_unpacked_gb:g}"
            return cls(int(max_unpacked_gb * 1e9), f"data.max_unpacked_gb = {gigabytes} allows")
        memory, disk = available_memory(), shutil.disk_usage(Path.cwd()).free
        if disk < memory // MEMORY_FACTOR:
            return cls(disk, f"the disk of {Path.cwd()} has free")
        reason = f"a third of the available memory ({memory / 1e9:.3g} GB), as reading takes it"
        return cls(memory // MEMORY_FACTOR, f"{reason} three times")

    def check(self, path: Path, n_bytes: int) -> None:
        """Refuse a file that holds more.

        Args:
            path: the compressed file.
            n_bytes: the bytes that it holds, or at least holds.

        Raises:
            InputError: with the key that allows more.
        """
        if n_bytes > self.n_bytes:
            raise InputError(
                f"{path} ({path.stat().st_size / 1e6:,.1f} MB) unpacks to {n_bytes / 1e9:.3g} GB "
                f"or more, and the limit is {self.n_bytes / 1e9:.3g} GB: what {self.reason}; "
                f"if you trust the file, unpack it, or allow more with data.max_unpacked_gb"
            )


def available_memory() -> int:
    """The bytes of memory that can be had without swapping, within the limit of a container."""
    match = re.search(r"MemAvailable:\s*(\d+) kB", _read(Path("/proc/meminfo")))
    available = int(match[1]) * 1024 if match else 4 << 30  # 4 GiB on systems that do not say it
    return min([available, *_left_in_control_groups()])


def _left_in_control_groups() -> list[int]:
    """What is left of every limit, where the cache of files, which gives way, counts as free."""
    left = []
    for folder, limit_name, usage_name, cache_name in _CONTROL_GROUPS:
        limit, usage = (_read(Path(folder, name)).strip() for name in (limit_name, usage_name))
        cache = re.search(rf"^{cache_name} (\d+)", _read(Path(folder, "memory.stat")), re.MULTILINE)
        if limit.isdecimal() and usage.isdecimal():  # the limit may be "max"
            left.append(max(int(limit) - int(usage) + (int(cache[1]) if cache else 0), 0))
    return left


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
