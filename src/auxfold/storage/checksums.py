"""Sizes and checksums of files, in one ``checksums.json`` per folder.

They show that a file was cut off, emptied, changed or replaced since it was written. A folder of an
earlier version has no ``checksums.json``; its files are read unchecked.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auxfold.errors import InputError
from auxfold.storage.atomic import atomic_write, encode_json, read_json, write_json
from auxfold.storage.file_lock import wait_for_lock

if TYPE_CHECKING:
    import pandas as pd

CHECKSUMS = "checksums.json"
DEFAULT_ALGORITHM = "sha256"
FAST_ALGORITHM = "crc32"  # of large files that are computed again when they are damaged
_LOCK = f".{CHECKSUMS}.lock"
_REMEDY = "put it back from a copy, or make it again"
_BLOCK = 1 << 20  # bytes that are read at a time


def atomic_write_checked(
    path: Path,
    write: Callable[[Path], object],
    size: int | None = None,
    algorithm: str = DEFAULT_ALGORITHM,
) -> None:
    """Write a file as :func:`~auxfold.storage.atomic.atomic_write` does, with its checksum.

    The new checksum is stored before the file is renamed, and the former one is removed afterwards.
    So the file matches one of the two wherever the process is interrupted.

    Args:
        path: the file.
        write: writes a file.
        size: the bytes that it will have, for the message about a full disk; None: unknown.
        algorithm: ``sha256`` or ``crc32``.

    Raises:
        InputError: the disk is full, or the folder's ``checksums.json`` is damaged.
    """

    def write_and_enter(temporary: Path) -> None:
        write(temporary)
        entry = _entry(temporary, algorithm)
        with _locked_entries(path.parent) as entries:
            former = entries.get(path.name)
            if former is not None and "former" in former and not _matches(path, former):
                former = former["former"]  # an earlier write was interrupted before the rename
            entries[path.name] = entry if former is None else {**entry, "former": former}

    atomic_write(path, write_and_enter, size)
    with _locked_entries(path.parent) as entries:
        entries[path.name].pop("former", None)


def write_json_checked(path: Path, content: Any) -> None:
    """Write a JSON file with its checksum; NaN is refused rather than written as invalid JSON."""
    data = encode_json(content)
    atomic_write_checked(path, lambda p: p.write_bytes(data), len(data))


def write_checksums(folder: Path, names: Iterable[str], algorithm: str = DEFAULT_ALGORITHM) -> None:
    """Write the ``checksums.json`` of a folder, in place of another one.

    Args:
        folder: the folder.
        names: its files, relative to it.
        algorithm: ``sha256`` or ``crc32``.
    """
    entries = {name: _entry(folder / name, algorithm) for name in sorted(names)}
    write_json(folder / CHECKSUMS, {"files": entries})


def read_checksums(folder: Path) -> dict[str, dict[str, Any]]:
    """The entries of a folder's ``checksums.json``: name to ``size`` and ``sha256`` or ``crc32``.

    Returns:
        The entries; none in a folder that an earlier version wrote.

    Raises:
        InputError: ``checksums.json`` is damaged.
    """
    path = folder / CHECKSUMS
    try:
        entries = read_json(path)["files"]
        if all("size" in entry for entry in entries.values()):
            return dict(entries)
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    raise InputError(
        f"{path} is damaged; put it back from a copy, or delete it to use the files of "
        f"{folder} unchecked"
    )


def check_file(path: Path, remedy: str = _REMEDY) -> None:
    """Refuse a file that is not as it was written.

    A file without an entry in the ``checksums.json`` of its folder is accepted.

    Args:
        path: the file. A large one takes a second per gigabyte or so: check it when it is used.
        remedy: what to do about damage, for the message.

    Raises:
        InputError: the file is missing, empty, cut off or changed; or ``checksums.json`` is
            damaged.
    """
    if damage := find_damage(path):
        raise InputError(
            f"{path} {damage}; {remedy}. If you changed it on purpose, delete "
            f"{path.parent / CHECKSUMS}"
        )


def find_damage(path: Path) -> str | None:
    """How a file differs from what was written, as of :func:`check_file`; None: it does not.

    Raises:
        InputError: ``checksums.json`` is damaged.
    """
    entry = read_checksums(path.parent).get(path.name)
    if entry is None or _matches(path, entry) or _matches(path, entry.get("former")):
        return None
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    if size == 0:
        return f"is empty; it had {entry['size']:,} bytes"
    if size < entry["size"]:
        return f"is cut off: it has {size:,} of {entry['size']:,} bytes"
    return "was changed since it was written, or belongs to another run"


def read_json_checked(path: Path, remedy: str = _REMEDY) -> Any:
    """Read a JSON file, which is checked before.

    Args:
        path: the file.
        remedy: what to do about damage, for the message.

    Raises:
        InputError: as of :func:`check_file`; or the file is no JSON, in a folder without checksums.
    """
    check_file(path, remedy)
    try:
        return read_json(path)
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); {remedy}") from None


def read_frame(path: Path, columns: list[str] | None = None, remedy: str = _REMEDY) -> pd.DataFrame:
    """Read a parquet file, which is checked before.

    Args:
        path: the file.
        columns: those to read; None: all.
        remedy: what to do about damage, for the message.

    Raises:
        InputError: as of :func:`check_file`; or the file cannot be read, in a folder without
            checksums.
    """
    import pandas as pd  # not at the top: every command imports this module, `--help` included

    check_file(path, remedy)
    try:
        return pd.read_parquet(path, columns=columns)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} is damaged ({reason}); {remedy}") from None


def is_intact(path: Path) -> bool:
    """Whether a file is there and as it was written; for what is computed again otherwise."""
    try:
        return path.is_file() and find_damage(path) is None
    except InputError:
        return False


def checksum(path: Path, algorithm: str = DEFAULT_ALGORITHM) -> str:
    """The checksum of a file's content, in hexadecimal digits."""
    with path.open("rb", buffering=0) as file:
        if algorithm == "sha256":
            return hashlib.file_digest(file, "sha256").hexdigest()
        value, buffer = 0, memoryview(bytearray(_BLOCK))
        while n_bytes := file.readinto(buffer):
            value = zlib.crc32(buffer[:n_bytes], value)
        return f"{value:08x}"


def _entry(path: Path, algorithm: str) -> dict[str, Any]:
    return {"size": path.stat().st_size, algorithm: checksum(path, algorithm)}


def _matches(path: Path, entry: dict[str, Any] | None) -> bool:
    """Whether a file has the size and the checksum of an entry."""
    if entry is None or not path.is_file() or path.stat().st_size != entry["size"]:
        return False
    algorithm = FAST_ALGORITHM if FAST_ALGORITHM in entry else DEFAULT_ALGORITHM
    return checksum(path, algorithm) == entry.get(algorithm)


@contextmanager
def _locked_entries(folder: Path) -> Iterator[dict[str, dict[str, Any]]]:
    """The entries of a folder, which are written at the end; other processes wait."""
    lock = wait_for_lock(folder / _LOCK)
    try:
        entries = read_checksums(folder)
        yield entries
        write_json(folder / CHECKSUMS, {"files": dict(sorted(entries.items()))})
    finally:
        if lock is not None:
            (folder / _LOCK).unlink()
            os.close(lock)
