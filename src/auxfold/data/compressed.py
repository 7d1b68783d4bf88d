"""The bytes of a file, decompressed, as far as memory and disk can hold them."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from auxfold.data.unpack_limit import UnpackLimit

COMPRESSIONS = (".gz", ".zip", ".zst")
_BLOCK = 1 << 22  # bytes that are decompressed at a time
# A file that unpacks to over 100 times its size so far holds no texts. It is judged by what it
# would hold if it went on like that, rather than unpacked up to the limit.
_BOMB_RATIO, _BOMB_SAMPLE = 100, 16 << 20


def read_content(path: Path, max_unpacked_gb: float | None = None) -> pa.Buffer:
    """All bytes of a file; one that is not compressed is mapped into memory.

    Args:
        path: the file.
        max_unpacked_gb: as ``data.max_unpacked_gb``.

    Raises:
        InputError: it holds more than memory and disk, or ``max_unpacked_gb``, allow.
        OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error: a damaged file, or an archive
            that does not hold exactly one.
    """
    suffix = path.suffix.lower()
    if suffix not in COMPRESSIONS:
        return pa.memory_map(str(path)).read_buffer()
    limit = UnpackLimit.choose(max_unpacked_gb)
    if suffix == ".zip":
        return _unzip(path, limit)
    with path.open("rb") as file:
        if suffix == ".gz":
            return _unpack(path, file, gzip.GzipFile(fileobj=file), limit)
        return _unpack(path, file, pa.CompressedInputStream(file, "zstd"), limit)


def check_archive(path: Path, max_unpacked_gb: float | None = None) -> None:
    """Refuse a spreadsheet that is an archive of more than memory and disk allow.

    Args:
        path: the spreadsheet.
        max_unpacked_gb: as ``data.max_unpacked_gb``.

    Raises:
        InputError: as :func:`read_content`.
        ValueError, zipfile.BadZipFile: a file in it is damaged, or is larger than the archive says.
    """
    if not zipfile.is_zipfile(path):  # .xls is none
        return
    with zipfile.ZipFile(path) as archive:
        n_bytes = sum(entry.file_size for entry in archive.infolist())
        UnpackLimit.choose(max_unpacked_gb).check(path, n_bytes)
        if damaged := archive.testzip():  # reads no more than the sizes that were checked
            raise ValueError(f"{damaged} in it is damaged")


def _unpack(path: Path, file: BinaryIO, stream: Any, limit: UnpackLimit) -> pa.Buffer:
    """All that ``stream`` decompresses from ``file``."""
    size, sink, n_bytes = path.stat().st_size, pa.BufferOutputStream(), 0
    while block := stream.read(_BLOCK):
        n_bytes += len(block)
        limit.check(path, n_bytes)
        n_read = file.tell()
        if n_bytes >= _BOMB_SAMPLE and n_bytes > _BOMB_RATIO * n_read:
            limit.check(path, n_bytes * size // n_read)
        sink.write(block)
    return sink.getvalue()


def _unzip(path: Path, limit: UnpackLimit) -> pa.Buffer:
    with zipfile.ZipFile(path) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        files = [entry for entry in entries if not entry.filename.startswith("__MACOSX/")]
        if len(files) != 1:
            raise ValueError(f"expected one file in it, found {len(files)}")
        limit.check(path, files[0].file_size)  # no more is unpacked, whatever there is
        try:
            return pa.py_buffer(archive.read(files[0]))
        except RuntimeError as error:  # encrypted, or a compression that Python does not know
            raise ValueError(str(error)) from None
