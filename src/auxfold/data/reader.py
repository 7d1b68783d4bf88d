"""Files of rows as an experiment reads them: tables, or whatever its own reader understands.

``data.reader = "package.module:Reader"`` names a class that is made without arguments and whose
``read(path)`` gives a DataFrame or dictionaries, a row each, with the columns that the experiment
names. The module is found as Python finds modules, and in the current directory.
"""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from auxfold.config import Data
from auxfold.data.files import as_strings, columns_of, existing, listed, read_columns
from auxfold.data.lists import entries_of_lists, may_be_entries, spread_lists
from auxfold.errors import InputError, nearest


class Reader(Protocol):
    """What ``data.reader`` names."""

    def read(self, path: Path) -> pd.DataFrame | Iterable[dict[str, Any]]:
        """All rows of a file, in its order."""


def read_rows(data: Data, path: str, columns: list[str]) -> pd.DataFrame:
    """The named columns of a file of rows, every value a string; lists spread where asked for.

    Raises:
        InputError: as :func:`~auxfold.data.files.read_columns`; a reader that is not there or
            fails; lists of other lengths than ``data.group_sizes``.
    """
    frame = None if data.reader is None else _by_reader(data.reader, path)
    if frame is not None:
        header = list(frame)
    else:  # a header costs a second look at the file
        header = columns_of(path) if may_be_entries(columns) else columns
    entries = entries_of_lists(columns, header)
    plain = [name for name in columns if name not in entries]
    asked = list(dict.fromkeys([*plain, *(base for base, _ in entries.values())]))
    missing = [name for name in asked if name not in header]
    if frame is None:
        frame = read_columns(path, asked)
    elif missing:
        raise InputError(
            f"{path}: {data.reader} gives no column {missing[0]!r}{nearest(missing[0], header)}; "
            f"it gives {listed(header)}"
        )
    length = None if data.group_sizes is None else len(data.group_sizes)
    frame = spread_lists(frame, entries, path, length) if entries else frame
    return frame[list(dict.fromkeys(columns))]


def columns_of_rows(data: Data, path: str) -> list[str]:
    """The column names of a file of rows.

    Raises:
        InputError: as :func:`read_rows`.
    """
    return columns_of(path) if data.reader is None else list(_by_reader(data.reader, path))


def copy_reader(name: str, folder: Path) -> None:
    """The file of a reader's module, to where it is found once ``folder`` is on Python's path.

    Raises:
        InputError: there is no such reader.
    """
    _reader(name)
    module = sys.modules[name.partition(":")[0]]
    place = folder.joinpath(*module.__name__.split(".")).with_suffix(".py")
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(str(module.__file__), place)


def _by_reader(name: str, path: str) -> pd.DataFrame:
    place = existing(path)
    try:
        given = _reader(name).read(place)
        frame = given if isinstance(given, pd.DataFrame) else pd.DataFrame(list(given))
        frame = frame.reset_index(drop=True).apply(as_strings)
    except InputError:
        raise
    except Exception as error:  # whatever somebody's reader raises
        raise InputError(f"{path}: {name} failed: {type(error).__name__}: {error}") from error
    if len(frame) == 0:
        raise InputError(f"{path}: {name} gives no rows")
    return frame


def _reader(name: str) -> Reader:
    module, _, attribute = name.partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        made = getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError, TypeError) as error:
        raise InputError(
            f"data.reader = {name!r} cannot be had ({error}); expected a module, importable from "
            f"{Path.cwd()}, with a class that takes no arguments"
        ) from None
    if not callable(getattr(made, "read", None)):
        raise InputError(f"data.reader = {name!r} has no method read(path)")
    return made
