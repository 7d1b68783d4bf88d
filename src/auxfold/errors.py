"""The one exception that is meant for a person, and what messages are worded with."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence


class InputError(Exception):
    """Something the user gave cannot be used; the message says what, where and what to do.

    Commands print the message on one line and exit with code 2; a notebook shows it as it is.
    """


class UnknownName(InputError, ValueError):
    """A name that is not among the known ones; who uses the model alone sees a ValueError."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint such as ``(did you mean 'target'?)`` or an empty string when nothing is near."""
    matches = difflib.get_close_matches(str(name), [str(k) for k in known], n=1, cutoff=0.5)
    return f" (did you mean {matches[0]!r}?)" if matches else ""


def list_first(parts: Sequence[object], n: int, form: Callable[[object], str] = str) -> str:
    """The first parts, and how many follow: ``a, b and 1,204 more``."""
    more = f" and {len(parts) - n:,} more" if len(parts) > n else ""
    return ", ".join(map(form, parts[:n])) + more
