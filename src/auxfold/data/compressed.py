"""The bytes of a file, decompressed."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pyarrow as pa

COMPRESSIONS = (".gz", ".zip", ".zst")


def read_content(path: Path) -> pa.Buffer:
    """All bytes of a file; one that is not compressed is mapped into memory.

    Raises:
        OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error: a damaged file, or an archive
            that does not hold exactly one.
    """
    suffix = path.suffix.lower()
    if suffix == ".gz":
        return pa.py_buffer(gzip.decompress(path.read_bytes()))
    if suffix == ".zip":
        return _unzip(path)
    if suffix == ".zst":
        with pa.memory_map(str(path)) as file:
            return pa.py_buffer(pa.CompressedInputStream(file, "zstd").read())
    return pa.memory_map(str(path)).read_buffer()


def _unzip(path: Path) -> pa.Buffer:
    with zipfile.ZipFile(path) as archive:
        names = [i.filename for i in archive.infolist() if not i.is_dir()]
        files = [name for name in names if not name.startswith("__MACOSX/")]
        if len(files) != 1:
            raise ValueError(f"expected one file in it, found {len(files)}")
        return pa.py_buffer(archive.read(files[0]))
