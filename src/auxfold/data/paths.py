"""Checks that input files exist, without importing the libraries that read them."""

from __future__ import annotations

from pathlib import Path

from auxfold.errors import InputError, nearest


def check_exists(path: str | Path) -> Path:
    """The path, after a check that a file is there.

    Raises:
        InputError: no such file; the error suggests the nearest name in the same folder.
    """
    path = Path(path)
    if not path.is_file():
        siblings = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        hint = nearest(path.name, siblings)
        raise InputError(f"no file {path}{hint}; see input/README.md for where files go")
    return path
