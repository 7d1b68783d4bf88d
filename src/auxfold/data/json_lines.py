"""JSON lines: one object per line, every number as its characters."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from auxfold.data.typed_cells import Number, json_text, values_text


def read_json_lines(content: pa.Buffer, columns: list[str] | None = None) -> pa.Table:
    """The columns of JSON lines as strings; a key that a line lacks is an empty cell.

    Args:
        content: UTF-8.
        columns: the columns to read, of which those that no line has are left out; None: all.

    Raises:
        ValueError: a line that is no object, two equal keys in one object, half of an emoji.
    """
    values: dict[str, list[Any]] = {} if columns is None else {name: [] for name in columns}
    names: dict[str, None] = {}
    for number, row in enumerate(_parse(content)):
        if row.keys() - names.keys():
            names |= dict.fromkeys(row)
            if columns is None:
                values |= {name: [""] * number for name in row if name not in values}
        for name, cells in values.items():
            value = row.get(name)
            is_nested = isinstance(value, dict | list)  # its text takes less memory
            cells.append(json_text(value) if is_nested else value)
    return pa.table({name: values_text(values[name], name) for name in values if name in names})


def read_json_keys(content: pa.Buffer) -> list[str]:
    """The keys of all lines, in the order in which they appear.

    Raises:
        ValueError: as :func:`read_json_lines`.
    """
    names: dict[str, None] = {}
    for row in _parse(content):
        if row.keys() - names.keys():
            names |= dict.fromkeys(row)
    return list(names)


def json_decoder() -> json.JSONDecoder:
    """A decoder that keeps numbers as their characters and refuses two equal keys in an object."""
    return json.JSONDecoder(
        object_pairs_hook=_distinct_keys,
        parse_int=Number,
        parse_float=Number,
        parse_constant=Number,
    )


def _parse(content: pa.Buffer) -> Iterator[dict[str, Any]]:
    """The objects of all lines that are not blank."""
    decoder = json_decoder()
    # Line ends inside of a JSON string are escaped, so that all kinds of line ends can be read.
    lines = io.TextIOWrapper(io.BufferedReader(pa.BufferReader(content), 2**20), "utf-8")
    for number, line in enumerate(lines, start=1):
        if line.isspace():
            continue
        try:
            row = decoder.decode(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"line {number}, character {error.pos + 1}: {error.msg}") from None
        except (ValueError, RecursionError) as error:
            raise ValueError(f"line {number}: {error}") from None
        if not isinstance(row, dict):
            raise ValueError(f'line {number}: expected an object such as {{"text": …}}')
        yield row


def _distinct_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"two values for the key {repeated!r} in one object")
    return row
