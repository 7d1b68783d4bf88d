"""Files that are written completely or not at all.

A file is written into a hidden folder next to its destination, synchronized with the disk and
renamed. The hidden folder has a random name and is locked while its writer lives, so that the next
writer can tell what a dead process left, in another container too, and removes it.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auxfold.errors import InputError
from auxfold.storage.file_lock import try_lock

if TYPE_CHECKING:
    import pandas as pd

_PREFIX = ".auxfold-"
_LOCK = ".lock"  # the locked file in a hidden folder
_FORMER = "former"  # holds a folder that is about to be replaced
# Locks of some network file systems hold on one host only: what others left has to be this old.
_FOREIGN_LEFTOVER_AGE = 24 * 3600  # seconds
FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PROBE = 1 << 20  # bytes


def atomic_write(path: Path, write: Callable[[Path], object], size: int | None = None) -> None:
    """Call ``write`` with a temporary path of the same name, then move it to ``path``.

    Args:
        path: the file. Until the new one is complete and on the disk, the former one stays.
        write: writes a file.
        size: the bytes that it will have, for the message about a full disk; None: unknown.

    Raises:
        InputError: the disk is full, with the space needed.
    """
    with _written_aside(path, path.parent, size) as folder:
        temporary = folder / path.name
        write(temporary)
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)


def atomic_write_folder(
    path: Path,
    write: Callable[[Path], object],
    size: int | None = None,
    overwrite: bool = False,
) -> None:
    """Call ``write`` with a temporary, empty folder of the same name, then move it to ``path``.

    Args:
        path: the folder.
        write: fills a folder.
        size: as of :func:`atomic_write`, of all files.
        overwrite: replace a folder that is there when the new one is complete. Otherwise it stays,
            and the new one is dropped.

    Raises:
        InputError: as of :func:`atomic_write`.
    """
    with _written_aside(path, path.parent, size) as folder:
        temporary = folder / path.name
        temporary.mkdir()
        write(temporary)
        for content in [*temporary.rglob("*"), temporary]:
            sync(content)
        if overwrite and path.exists():
            (folder / _FORMER).mkdir()
            os.replace(path, folder / _FORMER / path.name)
        try:
            os.replace(temporary, path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        sync(path.parent)


def atomic_write_files(
    folder: Path, write: Callable[[Path], object], size: int | None = None
) -> list[str]:
    """Call ``write`` with a temporary, empty folder, then move each of its files to ``folder``.

    Args:
        folder: the folder. Other files in it stay.
        write: fills a folder, such as ``model.save_pretrained``.
        size: as of :func:`atomic_write`, of all files.

    Returns:
        The files, relative to the folder, in alphabetical order.

    Raises:
        InputError: as of :func:`atomic_write`.
    """
    with _written_aside(folder, folder, size) as aside:
        temporary = aside / "files"
        temporary.mkdir()
        write(temporary)
        files = sorted(path for path in temporary.rglob("*") if path.is_file())
        for file in files:
            sync(file)
        for file in files:
            target = folder / file.relative_to(temporary)
            target.parent.mkdir(exist_ok=True)
            os.replace(file, target)
        sync(folder)
        return [file.relative_to(temporary).as_posix() for file in files]


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    _write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file atomically; NaN is refused rather than written as invalid JSON."""
    _write_bytes(path, encode_json(content))


def encode_json(content: Any) -> bytes:
    """The content of a JSON file.

    Raises:
        ValueError: there is a NaN, which JSON does not have.
    """
    text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
    return f"{text}\n".encode()


def _write_bytes(path: Path, content: bytes) -> None:
    atomic_write(path, lambda p: p.write_bytes(content), len(content))


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write a table atomically, as CSV or parquet by its suffix."""
    atomic_write(path, frame_writer(path, frame))


def frame_writer(path: Path, frame: pd.DataFrame) -> Callable[[Path], object]:
    """What writes a table to a path, as CSV or parquet by the suffix of ``path``.

    Raises:
        InputError: it has another suffix.
    """
    if path.suffix == ".parquet":
        return lambda p: frame.to_parquet(p, index=False)
    if path.suffix == ".csv":
        return lambda p: frame.to_csv(p, index=False, lineterminator="\n")
    raise InputError(f"{path}: predictions are written as .csv or .parquet")


@contextmanager
def _written_aside(path: Path, parent: Path, size: int | None) -> Iterator[Path]:
    """A hidden folder in ``parent`` until the block ends; a full disk is refused for ``path``."""
    folder, lock = None, None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(parent)
        folder, lock = _make_folder(parent)
        yield folder
    except InputError:
        raise
    except Exception as error:
        number = _full_disk(error, folder)
        if number is None:
            raise
        raise InputError(_describe_full_disk(path, parent, number, size, folder)) from error
    finally:
        _remove(folder)
        if lock is not None:
            os.close(lock)


def _make_folder(parent: Path) -> tuple[Path, int | None]:
    """A new hidden folder, and the descriptor that holds its lock; None where nothing locks."""
    while True:
        folder = parent / f"{_PREFIX}{_host()}-{secrets.token_hex(8)}"
        folder.mkdir()
        with suppress(FileNotFoundError, BlockingIOError):  # another process is removing it
            return folder, try_lock(folder / _LOCK)


def remove_leftovers(parent: Path) -> None:
    """Remove what dead processes had begun to write in a folder; what they replaced comes back."""
    for folder in parent.glob(f"{_PREFIX}*-*"):
        with suppress(OSError):  # a living process writes there, or another one removes it
            is_local = folder.name.startswith(f"{_PREFIX}{_host()}-")
            if not is_local and time.time() - folder.stat().st_mtime < _FOREIGN_LEFTOVER_AGE:
                continue
            lock = try_lock(folder / _LOCK)
            if lock is not None:
                _put_back(folder / _FORMER, parent)
                _remove(folder)
                os.close(lock)


def _put_back(former: Path, parent: Path) -> None:
    """Give a folder its place again whose process was killed before the new one had it."""
    for folder in former.glob("*"):
        if not (parent / folder.name).exists():
            os.replace(folder, parent / folder.name)


def _host() -> str:
    return re.sub(r"\W", "_", platform.node())


def _remove(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def sync(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot: they write when a file is closed.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _full_disk(error: BaseException, folder: Path | None) -> int | None:
    """The number of the system's error if a full disk caused ``error``; None otherwise.

    Not every library says so: safetensors and tokenizers have the number in the text of the error,
    torch and numpy report a short write.
    """
    cause: BaseException | None = error
    while cause is not None:
        number = getattr(cause, "errno", None)
        if number is None and (match := re.search(r"\(os error (\d+)\)", str(cause))):
            number = int(match[1])
        if number is not None:
            return number if number in FULL_DISK else None
        cause = cause.__cause__ or cause.__context__
    return _probe(folder) if folder is not None else None


def _probe(folder: Path) -> int | None:
    """The error that more bytes at the end of the files in a folder run into, if it is full."""
    for path in folder.rglob("*"):
        if path.is_file() and path.name != _LOCK:
            try:
                with path.open("ab", buffering=0) as file:
                    for _ in range(2):  # the first call may write a part
                        file.write(bytes(_PROBE))
                    os.fsync(file.fileno())
            except OSError as error:
                return error.errno if error.errno in FULL_DISK else None
    return None


def _describe_full_disk(
    path: Path, parent: Path, number: int, size: int | None, folder: Path | None
) -> str:
    contents = list(folder.rglob("*")) if folder is not None else []
    limit = sum(content.stat().st_size for content in contents if content.is_file())
    free = ""
    if number == errno.ENOSPC:  # a quota and the largest file size say nothing of free space
        limit += shutil.disk_usage(next(p for p in [parent, *parent.parents] if p.exists())).free
        free = f", and {_megabytes(limit)} are free"
    if size is None and path.is_file() and path.stat().st_size > limit:
        size = path.stat().st_size  # of the former file
    needed = f"more than {_megabytes(limit)}" if size is None else f"about {_megabytes(size)}"
    return (
        f"{path} cannot be written: {os.strerror(number).lower()}; it needs {needed}{free}. "
        f"Make room and start the command again; what was there before is unchanged"
    )


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB" if n_bytes >= 1e5 else f"{n_bytes / 1e3:,.1f} kB"
