"""Columns that hold an object in every row: ``labels = {rude: 1}`` is read as ``labels.rude``.

In jsonl and parquet files the cells are objects. In csv and tsv files they are JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from auxfold.data.json_lines import json_decoder
from auxfold.data.typed_cells import cell_text
from auxfold.errors import InputError, nearest

ObjectKeys = dict[str, tuple[str, str]]  # "labels.rude" -> ("labels", "rude")


def match_object_keys(columns: Iterable[str], header: Iterable[str]) -> ObjectKeys:
    """The columns that a file lacks but that its objects provide: object column and key of each.

    A key may have dots, for objects within objects: ``meta.author.name``.

    Args:
        columns: the names that are needed.
        header: the column names of the file.
    """
    header, keys = set(header), {}
    for name in columns:
        dots = [position for position, letter in enumerate(name) if letter == "."]
        bases = [name[:dot] for dot in reversed(dots) if name[:dot] in header]
        if name not in header and bases:
            keys[name] = (bases[0], name[len(bases[0]) + 1 :])
    return keys


def expand_objects(frame: pd.DataFrame, keys: ObjectKeys, path: str) -> pd.DataFrame:
    """The frame with a column of strings per key of its objects.

    A key that a row's object lacks is an empty cell.

    Args:
        frame: with the columns of objects as strings.
        keys: the result of :func:`match_object_keys`.
        path: the file, named in errors.

    Raises:
        InputError: a cell is not an object, or no object of the file has a key.
    """
    decoder, columns = json_decoder(), {}
    for base in dict.fromkeys(base for base, _ in keys.values()):
        codes, cells = pd.factorize(frame[base])
        objects = []
        for number, cell in enumerate(cells):
            try:
                objects.append(_parse_object(cell, decoder))
            except (ValueError, RecursionError):
                row = (codes == number).argmax() + 1
                raise InputError(
                    f"{path}: column {base!r}, row {row}: {cell[:40]!r} is not an object such as "
                    f'{{"rude": 1, "calm": 0}}'
                ) from None
        for name, (key_base, key) in keys.items():
            if key_base == base:
                values = [_look_up(value, key) for value in objects]
                if not any(has_key for has_key, _ in values):
                    known = dict.fromkeys(key for value in objects for key in value)
                    raise InputError(
                        f"{path}: no object in column {base!r} has the key {key!r}"
                        f"{nearest(key, known)}; its keys are {', '.join(list(known)[:20])}"
                    )
                texts = pd.Series([cell_text(value) for _, value in values], dtype="str")
                columns[name] = texts.take(codes).to_numpy()
    return frame.assign(**columns)


def _parse_object(cell: str, decoder: Any) -> dict[str, Any]:
    """The object in a cell; an empty one where the cell is empty."""
    if not cell.strip() or cell.strip() == "null":
        return {}
    value = decoder.decode(cell)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _look_up(value: Any, key: str) -> tuple[bool, Any]:
    """Whether an object has a key, and its value; ``a.b`` is also the key b of the object a."""
    if not isinstance(value, dict):
        return False, None
    if key in value:
        return True, value[key]
    first, dot, rest = key.partition(".")
    return _look_up(value.get(first), rest) if dot else (False, None)
