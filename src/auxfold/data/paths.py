"""Input files that must be there, checked without importing what reads them."""

from __future__ import annotations

from pathlib import Path

from auxfold.errors import InputError, nearest


def check_exists(path: str | Path) -> Path:
    """The path of a file that is there.

    Raises:
        InputError: it is not, with the nearest name beside it.
    """
    path = Path(path)
    if not path.is_file():
        beside = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        hint = nearest(path.name, beside)
        raise InputError(f"no file {path}{hint}; see input/README.md for where files go")
    return path
