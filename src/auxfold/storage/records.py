"""JSON records with a schema number: ``run.json``, ``folds.json`` and ``blend.json``.

The number says which version of auxfold can read the folder of the record. Version 0.1 wrote none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from auxfold.errors import InputError
from auxfold.storage.atomic import read_json, write_json

SCHEMA = 2


def write_record(path: Path, content: dict[str, Any]) -> None:
    """Write a record atomically, with the schema number of this version first."""
    write_json(path, {"schema": SCHEMA, **content})


def read_record(path: Path, remedy: str = "train it again") -> dict[str, Any]:
    """The content of a record.

    Args:
        path: the file.
        remedy: what to do with a folder of version 0.1, for the message.

    Raises:
        InputError: another version of auxfold wrote it, in a form that this one does not read.
    """
    record: dict[str, Any] = read_json(path)
    schema = record.get("schema", 1)
    if schema < SCHEMA:
        raise InputError(
            f"{path.parent} was written by auxfold 0.1; {remedy}, or use auxfold 0.1 for it"
        )
    if schema > SCHEMA:
        raise InputError(
            f"{path.parent} was written by a newer auxfold (schema {schema}, this version reads "
            f"{SCHEMA}); update auxfold"
        )
    return record
