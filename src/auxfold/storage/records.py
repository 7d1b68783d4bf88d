"""JSON records with a schema number: ``run.json``, ``folds.json`` and ``blend.json``.

The number says which version of auxfold can read the folder of the record. Version 0.1 wrote none.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from auxfold.errors import InputError
from auxfold.storage.checksums import read_json_checked, write_json_checked

SCHEMA = 2


def write_record(path: Path, content: dict[str, Any]) -> None:
    """Write a record and its checksum, with the schema number of this version first."""
    write_json_checked(path, {"schema": SCHEMA, **content})


def replace_non_finite(content: Any) -> Any:
    """The content with None for NaN and infinite numbers, which JSON cannot hold."""
    if isinstance(content, dict):
        return {key: replace_non_finite(value) for key, value in content.items()}
    if isinstance(content, list):
        return [replace_non_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def read_record(path: Path, remedy: str = "train it again") -> dict[str, Any]:
    """The content of a record.

    Args:
        path: the file.
        remedy: what to do with a folder of version 0.1, for the message.

    Raises:
        InputError: the file is damaged, or another version of auxfold wrote it, in a form that this
            one does not read.
    """
    record: dict[str, Any] = read_json_checked(path, f"put it back from a copy, or {remedy}")
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
