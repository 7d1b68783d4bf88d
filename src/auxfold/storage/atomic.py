"""Files that are written whole or not at all: to a temporary name next to them, then renamed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auxfold.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def atomic_write(path: Path, write: Callable[[Path], object]) -> None:
    """Call ``write`` with a temporary path, then move it to ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: writers choose compression by it.
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole."""
    atomic_write(path, lambda p: p.write_text(text, encoding="utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file whole; NaN is refused rather than written as invalid JSON."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write a table whole, as CSV or parquet by its suffix."""
    if path.suffix == ".parquet":
        atomic_write(path, lambda p: frame.to_parquet(p, index=False))
    elif path.suffix == ".csv":
        atomic_write(path, lambda p: frame.to_csv(p, index=False, lineterminator="\n"))
    else:
        raise InputError(f"{path}: predictions are written as .csv or .parquet")
