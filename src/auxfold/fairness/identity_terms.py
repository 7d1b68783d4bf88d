"""Identity flags from terms, for a table of texts whose identities nobody annotated."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from auxfold.errors import InputError


def read_terms(path: str) -> dict[str, list[str]]:
    """The identities of a list with one identity per line: one term, or several between commas.

    The first term names the identity. Empty lines are left out.

    Returns:
        Identity to its terms.

    Raises:
        InputError: no such file, no term in it, or an identity that is there twice.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a list of terms: {error}") from None
    terms: dict[str, list[str]] = {}
    for number, line in enumerate(lines, 1):
        of_line = [" ".join(term.split()) for term in line.split(",") if term.strip()]
        if of_line and of_line[0] in terms:
            raise InputError(f"{path}, line {number}: the identity {of_line[0]!r} is there twice")
        if of_line:
            terms[of_line[0]] = of_line
    if not terms:
        raise InputError(f"{path} holds no term; expected one per line")
    return terms


def flag_terms(texts: list[list[str]], terms: dict[str, list[str]]) -> np.ndarray:
    """``(rows, identities)`` float32: 1 where the text has one of the identity's terms as a word.

    Case does not matter. "gay" does not match in "gayle", but "deaf" matches in "deaf-blind". A
    term of several words matches with any white space between them. A term may belong to several
    identities.

    Args:
        texts: one list of strings per text column.
        terms: identity to its terms, from :func:`read_terms`.
    """
    # The separator of a pair of texts is in no term, so that no term matches across both.
    rows = ["\0".join(row).lower() for row in zip(*texts, strict=True)]
    flags = np.zeros((len(rows), len(terms)), dtype=np.float32)
    for column, of_identity in enumerate(terms.values()):
        pattern = re.compile("|".join(_word_pattern(term) for term in of_identity))
        flags[:, column] = [pattern.search(row) is not None for row in rows]
    return flags


def _word_pattern(term: str) -> str:
    words = r"\s+".join(re.escape(word) for word in term.lower().split())
    return rf"(?<!\w){words}(?!\w)"
