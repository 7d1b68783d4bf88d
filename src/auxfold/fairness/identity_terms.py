"""Identity flags from words: for a table of texts whose identities nobody annotated."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from auxfold.errors import InputError


def read_terms(path: str) -> dict[str, list[str]]:
    """The identities of a list, a line each: one word or several, separated by commas.

    The first word names the identity. Empty lines are left out.

    Raises:
        InputError: no such file, no term in it, or an identity twice.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a list of terms: {error}") from None
    made: dict[str, list[str]] = {}
    for number, line in enumerate(lines, 1):
        words = [" ".join(word.split()) for word in line.split(",") if word.strip()]
        if words and words[0] in made:
            raise InputError(f"{path}, line {number}: the identity {words[0]!r} stands there twice")
        if words:
            made[words[0]] = words
    if not made:
        raise InputError(f"{path} holds no term; expected one a line")
    return made


def term_flags(texts: list[list[str]], terms: dict[str, list[str]]) -> np.ndarray:
    """``(rows, identities)`` float32: 1 where one of an identity's terms stands as a word.

    Case does not matter; "gay" is not found in "gayle", "deaf" is in "deaf-blind", and a term of
    several words with any white space between them. One word may be of several identities.

    Args:
        texts: one list of strings per text column.
        terms: what :func:`read_terms` gave.
    """
    # A pair is parted by what no term holds.
    rows = ["\0".join(row).lower() for row in zip(*texts, strict=True)]
    made = np.zeros((len(rows), len(terms)), dtype=np.float32)
    for place, words in enumerate(terms.values()):
        found = re.compile("|".join(_pattern(word) for word in words)).search
        made[:, place] = [found(row) is not None for row in rows]
    return made


def _pattern(word: str) -> str:
    parts = r"\s+".join(re.escape(part) for part in word.lower().split())
    return rf"(?<!\w){parts}(?!\w)"
