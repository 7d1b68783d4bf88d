"""Sentences with random words, of which generated competitions are made."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def pick(rng: np.random.Generator, items: Sequence[T]) -> T:
    """One of ``items``, all equally likely."""
    return items[int(rng.integers(len(items)))]


def fill(
    rng: np.random.Generator, template: str, words: Mapping[str, Sequence[str]], who: str = ""
) -> str:
    """The template with every ``{name}`` replaced by a random word of the list of that name.

    Args:
        rng: the source of random choices.
        template: a sentence; ``{n}`` is a number, and ``{who}`` the argument of that name.
        words: the lists by name.
        who: may have ``{name}`` in it, too.
    """

    def random_word(match: re.Match) -> str:
        return str(rng.integers(3, 900)) if match[1] == "n" else pick(rng, words[match[1]])

    text = re.sub(r"\{(\w+)\}", random_word, template.replace("{who}", who))
    return text[0].upper() + text[1:]
