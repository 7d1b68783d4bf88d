"""Which columns of an unknown table are the text, or the two texts of a pair."""

from __future__ import annotations

import re

from auxfold.errors import InputError, nearest
from auxfold.quickstart.column import ColumnProfile
from auxfold.quickstart.names import (
    NO_TEXT_WORDS,
    PAIRS,
    TEXT_NAMES,
    matches,
    name_words,
    rank_of_name,
)

Columns = dict[str, ColumnProfile]
TITLES = ("title", "headline", "subject", "query", "question")  # texts that name another text
LONGER = 2  # times as many characters, from which one of two texts is the text


def choose_texts(
    columns: Columns, path: str, requested: list[str] | None, features: list[str]
) -> list[str]:
    """The text column, or the two columns of a pair in their order.

    Args:
        columns: all columns by name.
        path: named in errors.
        requested: the columns of ``--text``.
        features: the columns of the test file, which has all texts; empty where it does not tell.

    Raises:
        InputError: no column holds texts, several could be the text, or a requested column does
            not exist.
    """
    if requested:
        return _check_requested(columns, path, requested)
    texts = _find_texts(columns, features)
    if not texts:
        reasons = "; ".join(f"{c.name}: {describe_no_text(c)}" for c in columns.values())
        raise InputError(f"{path}: no column holds texts; {reasons}; name one with --text")
    pair = _find_pair(texts)
    return pair or [_choose_one(texts, path)]


def describe_no_text(column: ColumnProfile) -> str:
    """Why a column is no text."""
    if column.numbers is not None:
        return "numbers"
    if column.tag_format is not None:
        return "several tags in a cell"
    if column.missing >= 0.5:
        return f"empty in {column.missing:.0%} of the rows"
    if column.is_text(1.0) and _is_about_the_writer(column):
        return "names something, by its own name"
    words = f"{column.words:.1f} words on average, {column.n_distinct:,} different values"
    return words


def _check_requested(columns: Columns, path: str, requested: list[str]) -> list[str]:
    for name in requested:
        if name not in columns:
            raise InputError(
                f"{path} has no column {name!r} (--text){nearest(name, columns)}; its columns are "
                f"{', '.join(columns)}"
            )
    if len(requested) > 2 or len(set(requested)) < len(requested):
        raise InputError("--text takes one column, or two different ones for a pair")
    return requested


def _find_texts(columns: Columns, features: list[str]) -> Columns:
    """The columns that are texts; short ones only where there is no other."""
    available = {
        name: column
        for name, column in columns.items()
        if not _is_about_the_writer(column) and (not features or name in features)
    }
    texts = {name: column for name, column in available.items() if column.is_text()}
    named = {n: c for n, c in available.items() if rank_of_name(n, TEXT_NAMES) is not None}
    short = {name: column for name, column in named.items() if column.is_text(1.0)}
    if not texts and not short:
        return {name: column for name, column in available.items() if column.is_text(1.2)}
    return {name: column for name, column in columns.items() if name in texts or name in short}


def _is_about_the_writer(column: ColumnProfile) -> bool:
    words = name_words(column.name)
    return bool(words) and words[-1] in NO_TEXT_WORDS


def _find_pair(texts: Columns) -> list[str]:
    for first, second in PAIRS:
        firsts = [name for name in texts if matches(name, first)]
        seconds = [name for name in texts if matches(name, second) and name not in firsts]
        if len(firsts) == len(seconds) == 1:
            return [*firsts, *seconds]
    stems: dict[str, list[str]] = {}
    for name in texts:
        stem = re.sub(r"[_ ]?([12]|[abAB])$", "", name)
        if stem != name:
            stems.setdefault(stem, []).append(name)
    pairs = [names for names in stems.values() if len(names) == 2]
    return pairs[0] if len(pairs) == 1 else []


def _choose_one(texts: Columns, path: str) -> str:
    ranks = {name: rank_of_name(name, TEXT_NAMES) for name in texts}
    known = {name: rank for name, rank in ranks.items() if rank is not None}
    by_length = sorted(texts.values(), key=lambda column: -column.characters)
    longest = by_length[0].name
    if len(texts) == 1:
        return longest
    if not known:
        if by_length[0].characters >= LONGER * by_length[1].characters:
            return longest
        raise _tie(by_length, path)
    best = [name for name, rank in known.items() if rank == min(known.values())]
    is_title = any(matches(best[0], title) for title in TITLES)
    outweighed = texts[longest].characters >= LONGER * texts[best[0]].characters
    if len(best) > 1 or (is_title and outweighed):
        raise _tie([texts[name] for name in dict.fromkeys([*best, longest])], path)
    return best[0]


def _tie(texts: list[ColumnProfile], path: str) -> InputError:
    listed = ", ".join(
        f"{column.name!r} ({column.words:.0f} words on average)" for column in texts[:5]
    )
    first, second = (f"--text {_quote(column.name)}" for column in texts[:2])
    return InputError(
        f"{path}: which column is the text? {listed}; give {first} or {second}, or both for a pair"
    )


def _quote(name: str) -> str:
    return f'"{name}"' if re.search(r"\W", name) else name
