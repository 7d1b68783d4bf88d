"""Columns of a data file as the experiment reads it: as a table, or with a reader of the user's.

``data.reader = "package.module:Reader"`` names a class that takes no arguments. Its method
``read(path)`` returns a DataFrame, or one dictionary per row, with the columns that the experiment
names. The module is imported like any Python module, also from the current directory.
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
from auxfold.data.files import as_strings, format_list, read_columns, read_header
from auxfold.data.lists import expand_lists, has_list_entry_names, match_list_entries
from auxfold.data.paths import check_exists
from auxfold.errors import InputError, nearest


class Reader(Protocol):
    """The interface of the class that ``data.reader`` names."""

    def read(self, path: Path) -> pd.DataFrame | Iterable[dict[str, Any]]:
        """All rows of a file, in its order."""


def read_data_columns(data: Data, path: str, columns: list[str]) -> pd.DataFrame:
    """The named columns of a data file, every value a string.

    A column such as ``labels_2`` that the file lacks is an entry of its lists ``labels``.

    Raises:
        InputError: as :func:`~auxfold.data.files.read_columns`; a reader that does not exist or
            fails; lists that are not as long as ``data.group_sizes``.
    """
    frame = None if data.reader is None else _read_with(data.reader, path)
    if frame is not None:
        header = frame.columns.tolist()
    else:  # the header costs another look at the file
        header = read_header(path) if has_list_entry_names(columns) else columns
    entries = match_list_entries(columns, header)
    plain = [name for name in columns if name not in entries]
    file_columns = list(dict.fromkeys([*plain, *(base for base, _ in entries.values())]))
    missing = [name for name in file_columns if name not in header]
    if frame is None:
        frame = read_columns(path, file_columns)
    elif missing:
        raise InputError(
            f"{path}: {data.reader} gives no column {missing[0]!r}{nearest(missing[0], header)}; "
            f"it gives {format_list(header)}"
        )
    length = None if data.group_sizes is None else len(data.group_sizes)
    frame = expand_lists(frame, entries, path, length) if entries else frame
    return frame[list(dict.fromkeys(columns))]


def read_data_header(data: Data, path: str) -> list[str]:
    """The column names of a data file.

    Raises:
        InputError: as :func:`read_data_columns`.
    """
    if data.reader is None:
        return read_header(path)
    return _read_with(data.reader, path).columns.tolist()


def copy_reader(name: str, folder: Path) -> None:
    """Copy a reader's module to where Python finds it once ``folder`` is on its path.

    Raises:
        InputError: there is no such reader.
    """
    _load_reader(name)
    module = sys.modules[name.partition(":")[0]]
    target = folder.joinpath(*module.__name__.split(".")).with_suffix(".py")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(str(module.__file__), target)


def _read_with(reader: str, path: str) -> pd.DataFrame:
    file = check_exists(path)
    try:
        rows = _load_reader(reader).read(file)
        frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
        frame = frame.reset_index(drop=True).apply(as_strings)
    except InputError:
        raise
    except Exception as error:  # a user's reader may raise anything
        raise InputError(f"{path}: {reader} failed: {type(error).__name__}: {error}") from error
    if len(frame) == 0:
        raise InputError(f"{path}: {reader} gives no rows")
    return frame


def _load_reader(name: str) -> Reader:
    module, _, attribute = name.partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        reader = getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError, TypeError) as error:
        raise InputError(
            f"data.reader = {name!r} cannot be loaded ({error}); expected a module, importable "
            f"from {Path.cwd()}, with a class that takes no arguments"
        ) from None
    if not callable(getattr(reader, "read", None)):
        raise InputError(f"data.reader = {name!r} has no method read(path)")
    return reader
