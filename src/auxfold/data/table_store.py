"""The checked training table of a run, stored so that later commands open it instead of reading it.

A stored table is used only while everything that it was read from is as it was: the files by path,
size and times, the settings that read them, and the code. Otherwise the files are read and checked
again. Two files hold it: ``rows.arrow`` the rows, memory-mapped, and ``source.json`` what they were
read from.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from auxfold.config.experiment import Experiment
from auxfold.data.paths import check_exists
from auxfold.data.reader import read_reader_source
from auxfold.data.table import Table
from auxfold.data.text_column import TextColumn
from auxfold.errors import InputError
from auxfold.storage.atomic import read_json
from auxfold.storage.checksums import (
    CHECKSUMS,
    FAST_ALGORITHM,
    atomic_write_checked,
    find_damage,
    write_json_checked,
)

# A file that was changed this short a time ago may change again without another time: file systems
# count time in steps of up to two seconds.
RECENT = 2 * 10**9  # nanoseconds
# Sections of an experiment that do not change its table.
_WITHOUT_INFLUENCE = {
    "name", "model", "train", "task_weighting", "selection", "inference", "tracking"
}  # fmt: skip
_PACKAGES = ("config", "data", "tasks", "training")  # whose code reads and checks a table
# Fields of a table with an array, and fields with arrays by name.
_ARRAYS = ("labels", "sample_weights", "identities", "sources", "held_out", "from_test")
_PER_NAME = ("task_weights", "pos_weights", "scheme_factors")


class TableSource:
    """What the training table of an experiment is read from, as it is now.

    Args:
        experiment: names the files and the settings.

    Raises:
        InputError: a file is missing, or there is no such reader, or it may not run.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.read_at = time.time_ns()
        self.files = [_file_state(path) for path in experiment.training_paths]
        data = experiment.data
        code = [_code_state(), "" if data.reader is None else read_reader_source(data)]
        settings = _settings(experiment)
        self.key = {
            "files": self.files,
            "settings": hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16],
            "code": hashlib.sha256("\n".join(code).encode()).hexdigest()[:16],
        }

    def is_settled(self) -> bool:
        """Whether no file was changed so recently that another change could go unnoticed."""
        newest = max(max(file["modified"], file["changed"]) for file in self.files)
        return newest < self.read_at - RECENT


def open_table(folder: Path, source: TableSource) -> Table | None:
    """The stored table, if it is what would be read now.

    Args:
        folder: where it is stored.
        source: what it would be read from.
    """
    info_path, rows_path = _paths(folder)
    if not info_path.is_file():
        return None
    try:
        for path in (info_path, rows_path):
            if damage := find_damage(path):
                raise ValueError(f"{path.name} {damage}")
        info = read_json(info_path)
        if info["key"] != source.key:
            return None
        rows = pa.ipc.open_file(pa.memory_map(str(rows_path))).read_all()
        return _to_table(rows, info)
    except (InputError, OSError, ValueError, TypeError, KeyError, pa.ArrowException) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        print(f"note: {folder} cannot be used ({reason}); reading the files", file=sys.stderr)
        return None


def store_table(folder: Path, source: TableSource, experiment: Experiment, table: Table) -> None:
    """Store a table that was read from ``source``, unless a later change could go unnoticed.

    Args:
        folder: where it is stored, in place of another one.
        source: what it was read from, as it was before.
        experiment: the experiment that it was read for.
        table: the table.
    """
    if not source.is_settled() or TableSource(experiment).key != source.key:
        return
    info_path, rows_path = _paths(folder)
    rows = _to_rows(table)

    def write(path: Path) -> None:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, rows.schema) as writer:
            writer.write_table(rows)

    try:
        for path in (info_path, folder / CHECKSUMS):
            path.unlink(missing_ok=True)
        atomic_write_checked(rows_path, write, rows.nbytes, FAST_ALGORITHM)
        info = {
            "key": source.key,
            "fingerprint": table.fingerprint(),
            "path": table.path,
            "notes": table.notes,
            "texts": len(table.texts),
        }
        write_json_checked(info_path, info)
    except (InputError, OSError) as error:  # a full disk does not matter here
        print(f"note: {rows_path} cannot be stored ({error})", file=sys.stderr)


def _paths(folder: Path) -> tuple[Path, Path]:
    return folder / "source.json", folder / "rows.arrow"


def _settings(experiment: Experiment) -> dict[str, Any]:
    """The parts of an experiment that its table depends on."""
    settings = experiment.model_dump(mode="json", exclude=_WITHOUT_INFLUENCE)
    for key in ("test", "test_labels", "sample_submission"):
        settings["data"].pop(key)
    return settings


def _file_state(path: str) -> dict[str, Any]:
    real_path = os.path.realpath(check_exists(path))  # a link may point to another file by now
    state = os.stat(real_path)
    return {
        "path": real_path,
        "size": state.st_size,
        "modified": state.st_mtime_ns,
        "changed": state.st_ctime_ns,  # unlike the other time, nobody can set it back
    }


@cache
def _code_state() -> str:
    """The versions of what reads files, and the files of auxfold, one of which has its version."""
    root = Path(__file__).parents[1]
    states = [pd.__version__, pa.__version__, np.__version__]
    modules = (file for package in _PACKAGES for file in sorted((root / package).rglob("*.py")))
    for file in (root / "__init__.py", *modules):
        state = file.stat()
        states.append(f"{file.relative_to(root)} {state.st_size} {state.st_mtime_ns}")
    return "\n".join(states)


def _to_rows(table: Table) -> pa.Table:
    """The arrays of a table as columns."""
    columns = {"ids": TextColumn.from_strings(table.ids).values}
    if table.groups is not None:
        columns["groups"] = TextColumn.from_strings(table.groups).values
    for number, texts in enumerate(table.texts):
        column = TextColumn.from_strings(texts)
        columns |= {f"texts/{number}": column.values, f"hashes/{number}": pa.array(column.hashes)}
    for field in _PER_NAME:
        columns |= {f"{field}/{name}": pa.array(x) for name, x in getattr(table, field).items()}
    for field in _ARRAYS:
        array = getattr(table, field)
        if array is not None and array.shape[1:] != (0,):
            columns[field] = _to_column(array)
    return pa.table(columns)


def _to_column(array: np.ndarray) -> pa.Array:
    """Numbers, or lists of numbers, of equal length, in a column."""
    values = np.ascontiguousarray(array).ravel()
    column = pa.array(values.view(np.uint8) if values.dtype == bool else values)
    return column if array.ndim == 1 else pa.FixedSizeListArray.from_arrays(column, array.shape[1])


def _to_table(rows: pa.Table, info: dict[str, Any]) -> Table:
    """The table of stored rows; its arrays are read-only and lie in the file."""
    arrays = {name: rows[name].chunk(0) for name in rows.column_names}

    def numbers(name: str) -> np.ndarray:
        column = arrays[name]
        is_list = pa.types.is_fixed_size_list(column.type)
        values: np.ndarray = (column.flatten() if is_list else column).to_numpy()
        return values.reshape(len(column), -1) if is_list else values

    def per_name(field: str) -> dict[str, np.ndarray]:
        names = [name for name in arrays if name.startswith(f"{field}/")]
        return {name.removeprefix(f"{field}/"): numbers(name) for name in names}

    nothing = np.empty((len(rows), 0), dtype=np.float32)
    table = Table(
        path=info["path"],
        ids=arrays["ids"].to_numpy(zero_copy_only=False),
        texts=[
            TextColumn(arrays[f"texts/{number}"], numbers(f"hashes/{number}"))
            for number in range(info["texts"])
        ],
        labels=numbers("labels"),
        sample_weights=numbers("sample_weights"),
        groups=arrays["groups"].to_numpy(zero_copy_only=False) if "groups" in arrays else None,
        identities=numbers("identities") if "identities" in arrays else nothing,
        sources=numbers("sources") if "sources" in arrays else None,
        held_out=numbers("held_out").view(bool) if "held_out" in arrays else None,
        from_test=numbers("from_test").view(bool) if "from_test" in arrays else None,
        notes=info["notes"],
        **{field: per_name(field) for field in _PER_NAME},
    )
    table.set_fingerprint(info["fingerprint"])
    return table
