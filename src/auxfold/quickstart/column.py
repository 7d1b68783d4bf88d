"""The facts of one column of an unknown table."""

from __future__ import annotations

import json
import re
import warnings
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from auxfold.data.binary_labels import find_word_pair
from auxfold.data.cells import MISSING_LABELS, MISSING_WORDS
from auxfold.data.tag_cells import TagFormat, detect_tag_format
from auxfold.evaluation.token_statistics import WITHOUT_SPACES
from auxfold.quickstart.names import ORDERED, has_word

MAX_CLASSES = 200
MAX_TAG_WORDS = 12  # of a cell without brackets, on average
MAX_ORDERED = 10  # distinct integers that are an ordered rating
NOT_LABELED = {"-", "--", "?"}  # words for "no label" in released data sets
SAMPLE = 5_000  # values from which the form of texts is read
LETTERS = re.compile(r"[^\W\d_]")
LINK = re.compile(r"(https?://|www\.)\S+")
POSITIVE_WORDS = {
    "spam", "toxic", "offensive", "hate", "hateful", "abusive", "sarcastic", "sarcasm", "irony",
    "ironic", "fake", "fraud", "phishing", "relevant", "duplicate", "urgent", "churn", "1",
}  # fmt: skip
NEGATIVE_WORDS = {
    "ham",
    "not",
    "normal",
    "neutral",
    "none",
    "other",
    "real",
    "legit",
    "legitimate",
    "0",
}
NEGATION = re.compile(r"^(not?|non|un)[ _-]?")


@dataclass(frozen=True)
class ColumnProfile:
    """One column of a table, every value a string.

    Attributes:
        name: the name of the column.
        values: stripped strings, without missing ones.
        rows: the number of rows of the whole table.
        numbers: the values as numbers; None where some value is not a number.
        unlabeled: values besides empty cells that stand for a missing label, such as ``-``.
    """

    name: str
    values: pd.Series
    rows: int
    numbers: np.ndarray | None
    unlabeled: tuple[str, ...] = ()

    @classmethod
    def from_cells(cls, name: str, cells: pd.Series) -> ColumnProfile:
        """The profile of a column of strings."""
        stripped = cells.str.strip()
        values = stripped[~stripped.str.lower().isin(MISSING_LABELS)]
        numbers = _to_numbers(values)
        if numbers is None:  # among words, "none" is one of them
            values = stripped[~stripped.str.lower().isin(MISSING_WORDS)]
        unlabeled = _unlabeled_values(values, numbers)
        if unlabeled:
            values = values[~values.isin(unlabeled)]
            numbers = _to_numbers(values)
        return cls(name, values, len(cells), numbers, tuple(unlabeled))

    @cached_property
    def counts(self) -> pd.Series:
        """Rows per value, the most frequent first."""
        return self.values.value_counts()

    @property
    def n_distinct(self) -> int:
        """Number of different values."""
        return len(self.counts)

    @property
    def missing(self) -> float:
        """Share of rows without a value."""
        return 1 - len(self.values) / self.rows

    @cached_property
    def sample(self) -> pd.Series:
        """Some values, from which the form of all is read."""
        n = min(SAMPLE, len(self.values))
        return self.values.iloc[np.linspace(0, len(self.values) - 1, n).astype(int)]

    @cached_property
    def characters(self) -> float:
        """Characters per value, on average."""
        return float(self.sample.str.len().mean()) if len(self.values) else 0.0

    @cached_property
    def words(self) -> float:
        """Words per value, on average; two characters of a script without spaces count as one."""
        if not len(self.values):
            return 0.0
        unspaced = self.sample.str.count(WITHOUT_SPACES.pattern).mean()
        return float(self.sample.str.count(r"\s+").mean() + 1 + unspaced / 2)

    @cached_property
    def letters(self) -> float:
        """The share of the characters that are letters."""
        n_letters = self.sample.str.count(LETTERS.pattern).sum()
        return float(n_letters / max(self.sample.str.len().sum(), 1))

    @cached_property
    def beyond_ascii(self) -> float:
        """The share of the letters that are not ASCII."""
        text = "".join(self.sample)
        letters = LETTERS.findall(text)
        return sum(not letter.isascii() for letter in letters) / max(len(letters), 1)

    def is_text(self, min_words: float = 2.5) -> bool:
        """Whether most rows have several words, and mostly different ones.

        Long values may repeat: fifty different ones of eight words are texts, not classes.
        """
        if self.numbers is not None or self.missing >= 0.5 or self.letters < 0.4:
            return False
        if self.tag_format is not None or self.sample.str.fullmatch(LINK.pattern).mean() > 0.5:
            return False
        n_rows = len(self.values)
        varied = self.n_distinct >= (0.3 * n_rows if self.words < 8 else min(0.03 * n_rows, 50))
        return self.words >= min_words and varied and self.n_distinct > 2

    def is_id(self) -> bool:
        """Whether every row has a different value, which is one word and not a fraction."""
        if self.n_distinct != self.rows or self.words > 1.2:
            return False
        return self.numbers is None or self.is_integer

    @cached_property
    def is_integer(self) -> bool:
        """Whether all values are whole numbers."""
        return self.numbers is not None and bool((self.numbers == np.round(self.numbers)).all())

    @cached_property
    def tag_format(self) -> TagFormat | None:
        """How the cells hold tags; None where they hold none."""
        are_lists = self.sample.str.startswith("[").mean() > 0.5
        if self.numbers is not None or (self.words >= MAX_TAG_WORDS and not are_lists):
            return None
        return _detect_tags(self.sample)

    @cached_property
    def tag_counts(self) -> Counter[str]:
        """Rows per tag."""
        assert self.tag_format is not None, "not a column of tags"
        counts: Counter[str] = Counter()
        for cell, n_rows in self.counts.items():
            counts.update({str(tag): int(n_rows) for tag in self.tag_format.split(str(cell))})
        return counts

    @cached_property
    def kind(self) -> str | None:
        """The kind of task that fits the column; None where none does."""
        if self.n_distinct < 2:
            return None
        if self.tag_format is not None:
            return "tags"
        if self.numbers is None:
            if self.n_distinct == 2 and self.positive() is not None:
                return "binary"
            few = self.n_distinct <= min(MAX_CLASSES, max(2, len(self.values) // 10))
            return "multiclass" if few and self.words < 5 else None
        return self._kind_of_numbers(self.numbers)

    def _kind_of_numbers(self, numbers: np.ndarray) -> str:
        if (numbers.min() >= 0 and numbers.max() <= 1) or set(numbers) == {-1.0, 1.0}:
            return "binary"
        if not self.is_integer:
            return "regression"
        is_ordered = has_word(self.name, ORDERED)
        if is_ordered and 3 <= self.n_distinct <= numbers.max() - numbers.min() + 1 <= MAX_ORDERED:
            return "ordinal"
        if self.n_distinct <= 20:
            return "regression" if is_ordered else "multiclass"
        return "regression"

    def positive(self) -> str | None:
        """Of two words, the one that is the positive label; None where that is not clear."""
        first, second = sorted(self.counts.index)
        pair = find_word_pair(self.values)
        for word, other in ((first, second), (second, first)):
            is_negation = NEGATION.sub("", other.lower()) == word.lower()
            if pair is not None and word.lower() == pair[1]:
                return word
            if word.lower() in POSITIVE_WORDS or other.lower() in NEGATIVE_WORDS or is_negation:
                return word
        return None

    @property
    def is_recognized_pair(self) -> bool:
        """Whether the reader of labels knows by itself which of the two words is positive."""
        return self.numbers is not None or find_word_pair(self.values) is not None

    def classes(self) -> list[str]:
        """The values of a multi-class column, sorted, as numbers where all of them are."""
        values = self.counts.index.tolist()
        return sorted(values, key=float) if self.numbers is not None else sorted(values)

    def describe(self, kind: str | None = None) -> str:
        """A short summary of a label column: its rate, range or classes, and missing labels."""
        numbers, kind = self.numbers, kind or self.kind
        if kind == "tags":
            n_rows = self.tag_counts.values()
            summary = f"{len(n_rows)} tags in {min(n_rows):,} to {max(n_rows):,} rows"
        elif numbers is None and kind == "binary":
            positive = self.positive() or ""
            summary = f"{self.counts[positive] / len(self.values):.1%} {positive}"
        elif numbers is not None and kind == "binary":
            summary = f"{(numbers >= 0.5).mean():.1%} at 0.5 or more"
            summary += "" if set(numbers) <= {-1.0, 0.0, 1.0} else ", soft"
        elif numbers is not None and kind == "regression":
            summary = f"{numbers.min():g} to {numbers.max():g}, mean {numbers.mean():.3g}"
        else:
            counts = self.counts
            summary = f"{len(counts)} classes, {counts.iloc[-1]:,} to {counts.iloc[0]:,} rows"
        n_missing = self.rows - len(self.values)
        share = f"{self.missing:.0%}" if self.missing >= 0.01 else str(n_missing)
        return summary + (f", {share} not labeled" if n_missing else "")


def _to_numbers(values: pd.Series) -> np.ndarray | None:
    digits = values.str.lower().replace({"true": "1", "false": "0"})
    numbers = pd.to_numeric(digits, errors="coerce").to_numpy(dtype=np.float64)
    return numbers if len(numbers) > 0 and bool(np.isfinite(numbers).all()) else None


def _unlabeled_values(values: pd.Series, numbers: np.ndarray | None) -> list[str]:
    """``-`` among words, and -1 next to the classes 0, 1, 2 and so on."""
    if numbers is None:
        counts = values.value_counts()
        return [v for v in counts.index if v in NOT_LABELED] if len(counts) > 2 else []
    distinct = set(numbers)
    are_classes = distinct == {float(n) for n in range(-1, len(distinct) - 1)} and len(distinct) > 3
    return ["-1"] if are_classes else []


def _detect_tags(values: pd.Series) -> TagFormat | None:
    """The form of cells that hold several short values each, most of which repeat."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # Python's own, about texts in brackets
            tag_format = detect_tag_format(values.unique())
            cells = [tag_format.split(cell) for cell in values]
    except ValueError:
        return None
    counts = Counter(tag for tags in cells for tag in tags)
    n_tags = sum(counts.values())
    if not counts or (tag_format.cell_format == "separated" and not tag_format.separator):
        return None
    has_several = np.mean([len(tags) > 1 for tags in cells])
    n_words = np.mean([str(tag).count(" ") + 1 for tag in counts])
    is_list = tag_format.cell_format != "separated"
    repeats = len(counts) <= max(2, (0.5 if is_list else 0.2) * n_tags)
    return tag_format if repeats and n_words <= 3 and (is_list or has_several >= 0.02) else None


def object_keys(cells: pd.Series) -> list[str]:
    """The keys of the objects in a column whose cells hold objects with plain values, else none."""
    values = cells[cells.str.strip() != ""].head(SAMPLE)
    if not len(values) or not values.str.lstrip().str.startswith("{").all():
        return []
    keys: dict[str, None] = {}
    for text in values:
        try:
            content = json.loads(text)
        except ValueError:
            return []
        if any(isinstance(value, list | dict) for value in content.values()):
            return []
        keys |= dict.fromkeys(content)
    return list(keys)
