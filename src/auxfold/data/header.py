"""The first row of a file: data instead of names, and columns without a name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

MAX_CLASSES = 20  # distinct values up to which repeated ones are classes


def header_looks_like_data(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether every name that can be judged looks like the cells below it.

    A number above numbers, a value above a column that repeats it, and a sentence above sentences
    are data. A word above sentences or numbers is a name.

    Args:
        header: the first row.
        rows: some rows below it.
    """
    verdicts = [
        _looks_like_cells(name, [row[index] for row in rows if index < len(row)])
        for index, name in enumerate(header)
    ]
    return True in verdicts and False not in verdicts


def _looks_like_cells(name: str, cells: list[str]) -> bool | None:
    """None where name and cells do not tell."""
    cells = [cell for cell in cells if cell.strip()]
    if not name.strip() or not cells:
        return None
    if all(map(_is_number, cells)):
        return _is_number(name)
    if len(set(cells)) <= min(MAX_CLASSES, len(cells) // 2):
        return name in cells
    n_words = sorted(len(cell.split()) for cell in cells)[len(cells) // 2]
    if n_words >= 4:  # sentences
        return len(name.split()) >= 4
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def placeholder_names(header: Sequence[str]) -> list[str]:
    """The header, where a column without a name has a zero byte and its number as its name."""
    return [name or f"\0{number}" for number, name in enumerate(header, start=1)]


def is_placeholder(name: str) -> bool:
    """Whether a name is one that :func:`placeholder_names` gives to a column without a name."""
    return name.startswith("\0")


def drop_unnamed_columns(table: pa.Table) -> pa.Table:
    """The table without columns that have no name; :func:`describe_unnamed` speaks of them."""
    return table.select([name for name in table.column_names if not is_placeholder(name)])


def describe_unnamed(table: pa.Table) -> list[str]:
    """A line on the columns that have no name and so are not read, if there are any.

    Args:
        table: with the names of :func:`placeholder_names` and strings as values.
    """
    unnamed = {int(name[1:]): table[name] for name in table.column_names if is_placeholder(name)}
    if not unnamed:
        return []
    line = f"columns without a name are not read: {', '.join(map(str, unnamed))}"
    filled = [
        _has_text(values)
        for number, values in unnamed.items()
        if number > 1 or not _is_row_index(values)
    ]
    rows = pc.sum(reduce(pc.or_, filled)).as_py() if filled else 0
    return [f"{line}, although {rows:,} rows have values there" if rows else line]


def _has_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.not_equal(pc.utf8_trim_whitespace(values), "")


def _is_row_index(values: pa.ChunkedArray) -> bool:
    """Whether the values are distinct whole numbers, which pandas and R write without a name."""
    are_whole = pc.all(pc.match_substring_regex(values, r"^\d+$")).as_py()
    return bool(are_whole) and pc.count_distinct(values).as_py() == len(values)
