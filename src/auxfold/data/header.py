"""Whether the first row of a file is data rather than the names of its columns."""

from __future__ import annotations

from collections.abc import Sequence

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
