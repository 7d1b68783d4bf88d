"""Cells that hold any number of tags: ``a;b``, ``["a", "b"]`` or ``['a', 'b']``.

The form of a column is detected from all of its cells, since a tag may hold a comma.
"""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

CellFormat = Literal["separated", "json", "python"]
Tag = str | int

SEPARATORS = (";", "|")  # a comma is one only where the cells show it
_LIST = re.compile(r"\s*\[.*\]\s*", re.DOTALL)
_ADJACENT_STRINGS = re.compile(r"""['"]\s+['"]""")
LIST_ADVICE = """a list such as ["a", "b"], ['a', 'b'] or [3, 7] is expected"""


@dataclass(frozen=True)
class TagFormat:
    """How the cells of a column hold their tags.

    Attributes:
        cell_format: separated text, JSON lists or Python lists.
        separator: what separates the tags of a text, with a space where all cells have one; the
            empty string where every cell is one tag.
    """

    cell_format: CellFormat
    separator: str = ""

    def split(self, cell: str) -> list[Tag]:
        """The tags of a cell that is not empty, each once; none of ``[]``.

        Raises:
            ValueError: the cell has another form; the message says what it is.
        """
        if self.cell_format == "separated":
            separator = self.separator.strip() or self.separator
            parts = cell.split(separator) if separator else [cell]
            tags: list[Tag] = [part.strip() for part in parts if part.strip()]
        else:
            tags = _parse_list(cell, self.cell_format)
        distinct = list(dict.fromkeys(tags))
        if len(distinct) < len(tags) and {str(tag) for tag in distinct} <= {"0", "1"}:
            raise ValueError(
                f"{_shorten(cell)} holds a 0 or 1 for each label, not the labels' names or "
                f"numbers; name its entries as columns of a binary task: "
                f'"<column>_0", "<column>_1", …'
            )
        return distinct

    def join(self, tags: Iterable[Tag]) -> str:
        """The cell that holds these tags."""
        tags = list(tags)
        if self.cell_format == "json":
            return json.dumps(tags, ensure_ascii=False)
        if self.cell_format == "python":
            return repr(tags)
        return self.separator.join(map(str, tags))


def detect_tag_format(cells: Iterable[str], cell_format: CellFormat | None = None) -> TagFormat:
    """The form of the tags in the cells of a column.

    Args:
        cells: its distinct cells without the empty ones.
        cell_format: ``"separated"`` where that is known.

    Raises:
        ValueError: the form is ambiguous; the message says which key settles it.
    """
    texts = [text for cell in cells if (text := cell.strip())]
    if cell_format == "separated":
        return TagFormat("separated", _detect_separator(texts))
    n_lists = sum(_LIST.fullmatch(text) is not None for text in texts)
    if texts and n_lists == len(texts) and (list_format := _list_format(texts)):
        return list_format
    if texts and all(text.startswith("{") for text in texts):
        raise ValueError(
            f"{_shorten(texts[0])} is an object, not a list of tags; name its keys as columns of a "
            f'binary task: "<column>.<key>"'
        )
    if n_lists and any(_is_list(text) for text in texts):
        plain = next(text for text in texts if _LIST.fullmatch(text) is None)
        raise ValueError(
            f"some cells are lists, but {_shorten(plain)} is not; "
            f'set cell_format = "separated" where brackets belong to the tags'
        )
    return TagFormat("separated", _detect_separator(texts))


def sort_tags(tags: Iterable[Tag]) -> list[Tag]:
    """Numbers in numerical order, also where they are text; names by the alphabet."""
    distinct = set(tags)
    if all(str(tag).lstrip("-").isdecimal() for tag in distinct):
        return sorted(distinct, key=lambda tag: (int(tag), str(tag)))
    return sorted(distinct, key=lambda tag: (str(tag).casefold(), str(tag)))


def _detect_separator(texts: list[str]) -> str:
    present = [sign for sign in SEPARATORS if any(sign in text for text in texts)]
    if len(present) > 1:
        raise ValueError(
            "the cells hold both ; and |; set separator to the one that separates the tags"
        )
    if present:
        return _with_space(present[0], texts)
    if not any("," in text for text in texts):
        return ""
    if not _commas_separate(texts):
        example = next(text for text in texts if "," in text)
        raise ValueError(
            f"whether the comma of {_shorten(example)} separates tags is not clear; set "
            f'separator = "," if it does, or separator = "" if every cell is one tag'
        )
    return _with_space(",", texts)


def _commas_separate(texts: list[str]) -> bool:
    """Whether most parts of cells with a comma also occur in other cells."""
    cells = [{part.strip() for part in text.split(",")} for text in texts]
    counts = Counter(part for parts in cells for part in parts)
    parts = [part for parts in cells if len(parts) > 1 for part in parts]
    return sum(counts[part] > 1 for part in parts) > len(parts) / 2


def _with_space(sign: str, texts: list[str]) -> str:
    """The separator with the space that follows it in every cell."""
    n_signs = sum(text.count(sign) for text in texts)
    n_spaced = sum(text.count(f"{sign} ") for text in texts)
    return f"{sign} " if n_spaced == n_signs else sign


def _list_format(texts: list[str]) -> TagFormat | None:
    """The form of cells in brackets, where all of them are lists of one form."""
    for cell_format in ("json", "python"):
        if all(_is_list(text, cell_format) for text in texts):
            return TagFormat(cell_format)
    # Some may be wrong; each is then refused with its row.
    if any(map(_is_list, texts)) or all(_ADJACENT_STRINGS.search(text) for text in texts):
        return TagFormat("json" if _is_list(texts[0], "json") else "python")
    return None


def _is_list(text: str, cell_format: CellFormat = "python") -> bool:
    try:
        _parse_list(text, cell_format)
    except ValueError:
        return False
    return True


def _parse_list(text: str, cell_format: CellFormat) -> list[Tag]:
    try:
        values = json.loads(text) if cell_format == "json" else ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise ValueError(f"{_shorten(text)} cannot be read; {LIST_ADVICE}") from None
    if not isinstance(values, list):
        raise ValueError(f"{_shorten(text)} is not a list; {LIST_ADVICE}")
    if cell_format == "python" and _joins_strings(text):
        raise ValueError(
            f"{_shorten(text)} is a printed NumPy array, in which nothing separates the tags; "
            f"write lists: values.tolist()"
        )
    return [_check_tag(value, text) for value in values]


def _check_tag(value: Any, text: str) -> Tag:
    if isinstance(value, str) and value.strip():
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(
        f"{_shorten(text)} holds {value!r}; a tag is a name or a whole number, and [] means no tag"
    )


def _joins_strings(text: str) -> bool:
    """Whether two strings stand next to each other, which Python reads as one: ``['a' 'b']``."""
    if not _ADJACENT_STRINGS.search(text):
        return False
    tokens = tokenize.generate_tokens(io.StringIO(text.strip()).readline)
    kinds = [token.type for token in tokens if token.type != tokenize.NL]
    return (tokenize.STRING, tokenize.STRING) in pairwise(kinds)


def _shorten(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + " …")
