"""Columns of a data file as the experiment reads it: as a table, or with a reader of the user's.

``data.reader = "package.module:Reader"`` names a class that takes no arguments. Its method
``read(path)`` returns a DataFrame, or one dictionary per row, with the columns that the experiment
names. The module is imported like any Python module, also from the current directory, unless a run
folder names it (see ``auxfold.config.trust``).
"""

from __future__ import annotations

import importlib
import inspect
import shutil
import sys
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa

from auxfold.config import Data
from auxfold.data.files import describe_format, format_list, read_columns, read_header
from auxfold.data.lists import expand_lists, has_list_entry_names, match_list_entries
from auxfold.data.objects import expand_objects, match_object_keys
from auxfold.data.paths import check_exists
from auxfold.data.typed_cells import series_text, values_text
from auxfold.errors import InputError, nearest


class Reader(Protocol):
    """The interface of the class that ``data.reader`` names."""

    def read(self, path: Path) -> pd.DataFrame | Iterable[dict[str, Any]]:
        """All rows of a file, in its order."""


def read_data_columns(data: Data, path: str, columns: list[str]) -> pd.DataFrame:
    """The named columns of a data file, every value a string.

    A column such as ``labels_2`` that the file lacks is an entry of its lists ``labels``, and
    ``labels.rude`` a key of its objects ``labels``.

    Raises:
        InputError: as :func:`~auxfold.data.files.read_columns`; a reader that does not exist, may
            not run or fails; lists that are not as long as ``data.group_sizes``.
    """
    if data.reader is not None:
        columns_of_reader = _read_with(data, path)
        header = list(columns_of_reader)
    else:  # the header costs another look at the file
        may_be_nested = has_list_entry_names(columns) or any("." in name for name in columns)
        header = _file_header(data, path) if may_be_nested else columns
    entries, keys = match_list_entries(columns, header), match_object_keys(columns, header)
    plain = [name for name in columns if name not in entries and name not in keys]
    bases = [base for base, _ in (*entries.values(), *keys.values())]
    file_columns = list(dict.fromkeys([*plain, *bases]))
    if data.reader is None:
        frame = read_columns(path, file_columns, **_options(data))
    else:
        frame = _select_texts(columns_of_reader, file_columns, data.reader, path)
    length = None if data.group_sizes is None else len(data.group_sizes)
    frame = expand_objects(frame, keys, path) if keys else frame
    frame = expand_lists(frame, entries, path, length) if entries else frame
    return frame[list(dict.fromkeys(columns))]


def read_data_header(data: Data, path: str) -> list[str]:
    """The column names of a data file.

    Raises:
        InputError: as :func:`read_data_columns`.
    """
    if data.reader is None:
        return _file_header(data, path)
    return list(_read_with(data, path))


def describe_data_files(data: Data, paths: Iterable[str]) -> list[str]:
    """Lines on what was detected in data files that are not as their names say; usually none.

    Raises:
        InputError: as :func:`read_data_columns`.
    """
    if data.reader is not None:
        return []
    options = _options(data)
    return [line for path in dict.fromkeys(paths) for line in describe_format(path, **options)]


def copy_reader(data: Data, folder: Path) -> None:
    """Copy the module of ``data.reader`` to where Python finds it once ``folder`` is on its path.

    Raises:
        InputError: there is no such reader, or it may not run.
    """
    _load_reader(data)
    assert data.reader is not None
    module = sys.modules[data.reader.partition(":")[0]]
    target = folder.joinpath(*module.__name__.split(".")).with_suffix(".py")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(str(module.__file__), target)


def read_reader_source(data: Data) -> str:
    """The source of the module that defines the reader, as it was when the reader was imported.

    Raises:
        InputError: there is no such reader, or it may not run.
    """
    return _read_source(type(_load_reader(data)))


@cache
def _read_source(reader: type) -> str:
    try:
        return Path(inspect.getfile(reader)).read_text(encoding="utf-8")
    except (OSError, TypeError, ValueError):
        return f"unknown at {time.time_ns()}"  # so that it never equals a stored one


def _file_header(data: Data, path: str) -> list[str]:
    return read_header(path, **_options(data))


def _options(data: Data) -> dict[str, Any]:
    """The keys that say how files are read."""
    return {key: getattr(data, key) for key in ("encoding", "separator", "max_unpacked_gb")}


def _read_with(data: Data, path: str) -> dict[str, pd.Series | list[Any]]:
    """The columns that the reader gives, as it gives them."""
    reader, file = data.reader, check_exists(path)
    try:
        rows = _load_reader(data).read(file)
        columns = _frame_columns(rows) if isinstance(rows, pd.DataFrame) else _row_columns(rows)
    except InputError:
        raise
    except Exception as error:  # a user's reader may raise anything
        raise InputError(f"{path}: {reader} failed: {type(error).__name__}: {error}") from error
    if not any(len(values) for values in columns.values()):
        raise InputError(f"{path}: {reader} gives no rows")
    return columns


def _frame_columns(frame: pd.DataFrame) -> dict[str, pd.Series | list[Any]]:
    names = [str(name) for name in frame.columns]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"two columns are called {repeated[0]!r}")
    return {name: frame.iloc[:, index] for index, name in enumerate(names)}


def _row_columns(rows: Iterable[dict[str, Any]]) -> dict[str, pd.Series | list[Any]]:
    """Lists of the values themselves: in a DataFrame, integers next to None become floats."""
    rows = [dict(row) for row in rows]
    names = dict.fromkeys(name for row in rows for name in row)
    return {str(name): [row.get(name) for row in rows] for name in names}


def _select_texts(
    columns: dict[str, pd.Series | list[Any]], names: list[str], reader: str, path: str
) -> pd.DataFrame:
    """The named columns, every value a string."""
    header = list(columns)
    missing = [name for name in names if name not in header]
    if missing:
        raise InputError(
            f"{path}: {reader} gives no column {missing[0]!r}{nearest(missing[0], header)}; "
            f"it gives {format_list(header)}"
        )
    texts = {}
    for name in names:
        values = columns[name]
        try:
            if isinstance(values, pd.Series):
                texts[name] = series_text(values)
            else:
                texts[name] = values_text(values, name)
        except ValueError as error:
            raise InputError(f"{path}: {reader}: {error}") from None
    return pa.table(texts).to_pandas()


def _load_reader(data: Data) -> Reader:
    data.check_code()
    assert data.reader is not None
    name = data.reader
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
