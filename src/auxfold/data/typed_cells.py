"""The text of cells that are not text: parquet columns, JSON values, spreadsheets, Python objects.

One table for all of them, which `docs/how-to/file_formats.md` shows to users: integers in decimal
digits, the shortest form of floats, ``true`` and ``false``, ISO dates, nothing for null, JSON for
lists and objects.
"""

from __future__ import annotations

import datetime
import decimal
import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

TEXT = pa.large_string()
EXACT = 2**53  # from here on, neighboring integers are one float
_quote = json.encoder.encode_basestring


class Number(str):
    """A number of a JSON file: its characters, which are text in a cell and bare inside JSON."""

    __slots__ = ()


def column_text(column: pa.ChunkedArray | pa.Array, name: str) -> pa.ChunkedArray | pa.Array:
    """An Arrow column as strings without nulls.

    Args:
        column: of any type.
        name: the column's name, for errors.

    Raises:
        ValueError: bytes, or another value that has no text; text that is not Unicode.
    """
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        if kind.extension_name not in ("arrow.json", "arrow.bool8"):
            raise ValueError(f"column {name!r} holds {kind.extension_name} values, not text")
        return column_text(column.cast(kind.storage_type), name)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return column_text(column.cast(kind.value_type), name)
    if _has_arrow_text(kind):
        texts = column.cast(TEXT)
    elif pa.types.is_floating(kind):
        texts = _float_texts(column)
    elif pa.types.is_timestamp(kind) or pa.types.is_time(kind):
        texts = _time_texts(column.cast(TEXT))
    else:
        maps = {"maps_as_pydicts": "strict"} if "map<" in str(kind) else {}
        texts = values_text(column.to_pylist(**maps), name)
    if _is_text(kind):
        _check_unicode(texts, name)
    return pc.fill_null(texts, "")


def series_text(series: pd.Series) -> pa.ChunkedArray | pa.Array:
    """A pandas column as strings without nulls; NaN is a missing value there.

    Raises:
        ValueError: as :func:`column_text`, or a float that has lost digits of an integer.
    """
    name = str(series.name)
    if series.dtype == object:
        return values_text(series.tolist(), name)
    try:
        column = pa.array(series, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError, UnicodeEncodeError):
        return values_text(series.tolist(), name)
    check_exact_floats(column, name)
    return column_text(column, name)


def values_text(values: Sequence[Any], name: str) -> pa.Array:
    """Python values as strings without nulls.

    Args:
        values: one per row.
        name: the column's name, for errors.

    Raises:
        ValueError: bytes, or another value that has no text; half of an emoji.
    """
    try:
        texts = [value if type(value) is str else cell_text(value) for value in values]
        return pa.array(texts, TEXT)
    except UnicodeEncodeError:
        row = next(n for n, text in enumerate(texts) if find_lone_surrogate(text))
        reason = describe_lone_surrogate(texts[row])
        raise ValueError(f"column {name!r}, row {row + 1}: {reason}") from None
    except TypeError:
        row, error = next(filter(None, map(_conversion_error, range(len(values)), values)))
        if "bytes" in error:
            raise ValueError(f"column {name!r} holds bytes, not text (row {row + 1})") from None
        raise ValueError(f"column {name!r}, row {row + 1}: {error}") from None


def cell_text(value: Any) -> str:
    """The text of one Python value.

    Raises:
        TypeError: the value has no text.
    """
    if isinstance(value, str):
        return value
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    if isinstance(value, dict | list | tuple | np.ndarray):
        return json_text(value)
    if isinstance(value, np.generic):
        return cell_text(_without_numpy(value))
    if isinstance(value, float) and value != value:
        return ""
    return _scalar_text(value)


def json_text(value: Any) -> str:
    """A list or an object as JSON in one line, whose numbers have the digits of a cell.

    Raises:
        TypeError: something in it has no text.
    """
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        pairs = (f"{_quote(cell_text(key))}: {json_text(item)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(json_text, value)) + "]"
    if value is None or value is pd.NA or value is pd.NaT:
        return "null"
    if isinstance(value, np.generic):
        value = _without_numpy(value)
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, bool | int | float | decimal.Decimal):
        return _scalar_text(value)
    return _quote(cell_text(value))


def check_exact_floats(column: pa.ChunkedArray | pa.Array, name: str) -> None:
    """Refuse floats that were integers of 17 to 20 digits, of which the last digits are lost.

    pandas makes such floats of integers next to a missing value.

    Raises:
        ValueError: a float between 2**53 and 2**64.
    """
    if not pa.types.is_floating(column.type):
        return
    size = pc.abs(column)
    lost = pc.and_(pc.greater_equal(size, float(EXACT)), pc.less_equal(size, float(2**64)))
    row = pc.index(lost, True).as_py()
    if row >= 0:
        raise ValueError(
            f"column {name!r}, row {row + 1}: {column[row].as_py()!r} is a float that cannot hold "
            f"every digit of an integer so large; store the column as integers or as text"
        )


def find_lone_surrogate(text: str) -> str | None:
    """The first half of a surrogate pair that has no other half, or None."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return text[error.start]
    return None


def describe_lone_surrogate(text: str) -> str:
    """Why a text with a lone surrogate is refused."""
    half = find_lone_surrogate(text)
    return (
        f"the text holds {half!r}, which is half of an emoji or a byte that is not UTF-8; remove "
        f"it or replace it by U+FFFD: text.encode('utf-8', 'replace').decode()"
    )


def _has_arrow_text(kind: pa.DataType) -> bool:
    """Whether the text that Arrow gives is the one of the table of typed cells."""
    types = pa.types
    is_plain = types.is_null(kind) or types.is_boolean(kind) or types.is_integer(kind)
    return is_plain or types.is_date(kind) or _is_text(kind)


def _is_text(kind: pa.DataType) -> bool:
    view = getattr(pa.types, "is_string_view", None)
    is_view = view is not None and view(kind)
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or is_view


def _check_unicode(texts: pa.ChunkedArray | pa.Array, name: str) -> None:
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        values = texts.cast(pa.large_binary()).to_pylist()
        row = next(n for n, value in enumerate(values) if value and not _is_utf8(value))
        raise ValueError(f"column {name!r}, row {row + 1}: the text is not UTF-8") from None


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _float_texts(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """Whole numbers without a point; NaN that a file holds is ``NaN``, which is not null."""
    is_whole = pc.and_(pc.equal(column, pc.floor(column)), pc.less(pc.abs(column), float(EXACT)))
    whole = pc.if_else(is_whole, column, pa.scalar(0, column.type)).cast(pa.int64())
    other = pc.replace_substring(column.cast(TEXT), "nan", "NaN")
    return pc.if_else(is_whole, whole.cast(TEXT), other)


def _time_texts(texts: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """ISO 8601 with ``T``, an offset such as ``+01:00`` and no more digits than the time needs."""
    texts = pc.replace_substring_regex(texts, r"^(\d+-\d\d-\d\d) ", r"\1T")
    texts = pc.replace_substring_regex(texts, r"\.0+(Z|[+-]\d\d:?\d\d)?$", r"\1")
    texts = pc.replace_substring_regex(texts, r"(\.\d*[1-9])0+(Z|[+-]\d\d:?\d\d)?$", r"\1\2")
    texts = pc.replace_substring_regex(texts, r"([+-]\d\d)(\d\d)$", r"\1:\2")
    return pc.replace_substring_regex(texts, "Z$", "+00:00")


def _scalar_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return _float_text(float(value))
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return re.sub(r"(\.\d*[1-9])0+($|[+-])", r"\1\2", value.isoformat())
    if isinstance(value, datetime.timedelta):
        return _float_text(value.total_seconds())
    if isinstance(value, bytes | bytearray | memoryview):
        raise TypeError("bytes, not text")
    raise TypeError(f"a value of the type {type(value).__name__} has no text; give a string")


def _float_text(value: float) -> str:
    if value.is_integer() and abs(value) < EXACT:
        return str(int(value))
    if value != value:
        return "NaN"
    text = repr(value)
    return pa.scalar(value).cast(pa.string()).as_py() if "e-0" in text else text


def _without_numpy(value: np.generic) -> Any:
    """The Python value, a short float by its own digits: 0.1, not 0.10000000149011612."""
    return float(str(value)) if isinstance(value, np.floating) else value.item()


def _conversion_error(row: int, value: Any) -> tuple[int, str] | None:
    try:
        cell_text(value)
    except TypeError as error:
        return row, str(error)
    return None
