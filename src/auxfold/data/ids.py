"""Checks of ids, by which predictions are joined to labels and tables to each other."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from auxfold.errors import InputError

N_EXAMPLES = 3


def check_unique_ids(ids: Iterable[str], source: str) -> None:
    """Refuse a table in which an id names several rows.

    Args:
        ids: the ids of the table, ``(rows,)``.
        source: the file or run that they are from, for the message.

    Raises:
        InputError: with the first such id and the number of rows concerned.
    """
    index = _to_index(ids)
    repeated = index[index.duplicated(keep=False)]
    if len(repeated):
        raise InputError(
            f"{source}: id {repeated[0]!r} is in more than one row ({len(repeated):,} rows share "
            f"their id with another); ids must be unique"
        )


def check_same_ids(
    expected: Iterable[str],
    ids: Iterable[str],
    expected_source: str,
    source: str,
    advice: str = "",
) -> None:
    """Refuse two tables that do not hold the same ids; their order does not matter.

    Args:
        expected: the ids of the first table, ``(rows,)``.
        ids: the ids of the second table, ``(rows,)``.
        expected_source: the file or run of ``expected``, for the message.
        source: the file or run of ``ids``, for the message.
        advice: what to do, for the message.

    Raises:
        InputError: with the number of missing and unexpected ids and examples of both.
    """
    expected_index, index = _to_index(expected), _to_index(ids)
    missing, unexpected = expected_index.difference(index), index.difference(expected_index)
    if len(missing) or len(unexpected):
        raise InputError(
            f"{source} does not hold the ids of {expected_source}: of {len(expected_index):,} ids "
            f"it lacks {len(missing):,} and has {len(unexpected):,} others"
            f"{_format_examples('missing', missing)}{_format_examples('unexpected', unexpected)}"
            f"{_format_advice(advice)}"
        )


def check_ids_present(
    required: Iterable[str],
    ids: Iterable[str],
    required_source: str,
    source: str,
    advice_if_none: str = "",
) -> None:
    """Refuse a table that lacks some of the required ids; it may hold others.

    Args:
        required: the ids that must be there, ``(rows,)``.
        ids: the ids of the table, ``(rows,)``.
        required_source: the file or run of ``required``, for the message.
        source: the file or run of ``ids``, for the message.
        advice_if_none: what to do where not a single required id is there, for the message.

    Raises:
        InputError: with the number of missing ids and examples.
    """
    required_index = _to_index(required)
    missing = required_index.difference(_to_index(ids))
    if len(missing):
        n_required = len(required_index)
        advice = advice_if_none if len(missing) == n_required else ""
        raise InputError(
            f"{source} lacks {len(missing):,} of the {n_required:,} ids of {required_source}"
            f"{_format_examples('missing', missing)}{_format_advice(advice)}"
        )


def _to_index(ids: Iterable[str]) -> pd.Index:
    return pd.Index(np.asarray(ids, dtype=object))


def _format_examples(heading: str, ids: pd.Index) -> str:
    """``; missing: 'a', 'b', 'c', …``, or nothing where there is no id."""
    if not len(ids):
        return ""
    examples = ", ".join(repr(value) for value in ids[:N_EXAMPLES])
    return f"; {heading}: {examples}{', …' if len(ids) > N_EXAMPLES else ''}"


def _format_advice(advice: str) -> str:
    return f"; {advice}" if advice else ""
