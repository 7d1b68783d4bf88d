"""Guess the roles of the columns of an unknown table: texts, id, and labels by kind."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from auxfold.data.cells import MISSING_LABELS
from auxfold.errors import InputError

TEXT_NAMES = ("comment_text", "text", "full_text", "comment", "content", "body", "sentence")
PAIRS = (("premise", "hypothesis"), ("query", "document"), ("query", "passage"),
         ("question", "answer"), ("question", "context"), ("anchor", "positive"))  # fmt: skip
MAIN_NAMES = ("target", "label", "labels", "toxic", "toxicity", "score", "class", "sentiment",
              "rating", "stars", "category", "y")  # fmt: skip
# Columns that count or name something rather than describe the text.
NO_LABEL = re.compile(
    r"(^|_)(id|ids|index|idx|count|counts|n|num|date|year|time|timestamp|fold|split|weight|votes|"
    r"likes|annotators?)($|_)|_?Id$",
)
MAX_CLASSES = 50


@dataclass(frozen=True)
class ColumnProfile:
    """One column of a table, every value a string.

    Attributes:
        name: the name of the column.
        values: stripped strings, without missing ones.
        rows: the number of rows of the whole table.
        numbers: the values as numbers; None where some value is not a number.
    """

    name: str
    values: pd.Series
    rows: int
    numbers: np.ndarray | None

    @classmethod
    def from_cells(cls, name: str, cells: pd.Series) -> ColumnProfile:
        """The profile of a column of strings."""
        stripped = cells.str.strip()
        values = stripped[~stripped.str.lower().isin(MISSING_LABELS)]
        digits = values.str.lower().replace({"true": "1", "false": "0"})
        numbers = pd.to_numeric(digits, errors="coerce").to_numpy(dtype=np.float64)
        is_numeric = len(numbers) > 0 and bool(np.isfinite(numbers).all())
        return cls(name, values, len(cells), numbers if is_numeric else None)

    @property
    def n_distinct(self) -> int:
        """Number of different values."""
        return int(self.values.nunique())

    @property
    def missing(self) -> float:
        """Share of rows without a value."""
        return 1 - len(self.values) / self.rows

    @property
    def words(self) -> float:
        """Words per value, on average."""
        return float(self.values.str.count(r"\s+").mean()) + 1 if len(self.values) else 0.0

    def is_text(self) -> bool:
        """Whether most rows have several words, and mostly different ones."""
        varied = self.n_distinct >= 0.3 * max(len(self.values), 1)
        return self.numbers is None and self.words >= 2.5 and varied and self.missing < 0.5

    def is_id(self) -> bool:
        """Whether every row has a different value, which is not a fraction."""
        numbers = self.numbers
        has_fractions = numbers is not None and bool((numbers != np.round(numbers)).any())
        return self.n_distinct == self.rows and not has_fractions

    def kind(self) -> str | None:
        """``binary``, ``multiclass`` or ``regression``; None where no task fits the column."""
        if self.n_distinct < 2:
            return None
        if self.numbers is None:
            few = self.n_distinct <= min(MAX_CLASSES, max(2, len(self.values) // 10))
            return "multiclass" if few and self.words < 5 else None
        if self.numbers.min() >= 0 and self.numbers.max() <= 1:
            return "binary"
        if (self.numbers == np.round(self.numbers)).all() and self.n_distinct <= 20:
            is_ordered = self.name.lower() in ("score", "rating", "stars", "grade")
            return "regression" if is_ordered else "multiclass"
        return "regression"

    def classes(self) -> list[str]:
        """The values of a multi-class column, sorted, as numbers where all of them are."""
        values = self.values.unique().tolist()
        return sorted(values, key=float) if self.numbers is not None else sorted(values)

    def describe(self) -> str:
        """A short summary of a label column: its rate, range or classes, and missing labels."""
        numbers, kind = self.numbers, self.kind()
        if numbers is not None and kind == "binary":
            summary = f"{(numbers >= 0.5).mean():.1%} at 0.5 or more"
            summary += "" if set(numbers) <= {0.0, 1.0} else ", soft"
        elif numbers is not None and kind == "regression":
            summary = f"{numbers.min():g} to {numbers.max():g}, mean {numbers.mean():.3g}"
        else:
            counts = self.values.value_counts()
            summary = f"{len(counts)} classes, {counts.iloc[-1]:,} to {counts.iloc[0]:,} rows"
        return summary + (f", {self.missing:.0%} not labeled" if self.missing else "")


@dataclass(frozen=True)
class TableProfile:
    """The roles of a table's columns.

    Attributes:
        rows: the number of rows.
        texts: the one or two text columns.
        id: the id column, or None.
        main: the columns of the main task.
        groups: task name to columns, for further tasks of the main task's kind.
        others: columns that could be tasks of another kind.
        repeated: columns that look like ids but repeat values; rows with equal values may have to
            stay in one fold.
        unused: column name to the reason why the column has no role.
    """

    rows: int
    texts: list[str]
    id: str | None
    main: list[ColumnProfile]
    groups: dict[str, list[ColumnProfile]]
    others: list[ColumnProfile]
    repeated: list[str]
    unused: dict[str, str] = field(default_factory=dict)


def profile_table(
    frame: pd.DataFrame, path: str, features: list[str], main: str | None = None
) -> TableProfile:
    """Guess the role of every column.

    Args:
        frame: the table, every value a string.
        path: named in errors.
        features: the columns of the test file, which are not labels.
        main: the main column; guessed where None.

    Raises:
        InputError: no column holds texts, or none could be a label.
    """
    columns = {name: ColumnProfile.from_cells(name, frame[name]) for name in frame.columns}
    texts = _find_texts(columns, path)
    candidates = {name: column for name, column in columns.items() if name not in texts}
    id_column = _find_id(candidates)
    labels, repeated, unused = [], [], {}
    for name, column in candidates.items():
        if name == id_column:
            continue
        if name != main and re.search(r"_id$|Id$", name) and column.n_distinct < column.rows:
            repeated.append(name)
        elif name != main and NO_LABEL.search(name):
            unused[name] = "counts or names something"
        elif name != main and name in features:
            unused[name] = "is in the test file as well"
        elif column.is_text() or column.kind() is None:
            unused[name] = (
                "only one value" if column.n_distinct < 2 else "neither numbers nor classes"
            )
        else:
            labels.append(column)
    if not labels:
        raise InputError(
            f"{path}: no column looks like a label (numbers, or at most {MAX_CLASSES} classes); "
            f"its columns are {', '.join(columns)}"
        )
    main_columns, groups = _split_tasks(labels, main, path)
    assigned = {c.name for columns in (main_columns, *groups.values()) for c in columns}
    others = [column for column in labels if column.name not in assigned]
    return TableProfile(
        len(frame), texts, id_column, main_columns, groups, others, repeated, unused
    )


def _find_texts(columns: dict[str, ColumnProfile], path: str) -> list[str]:
    """The text column, or the two columns of a pair."""
    texts = [name for name, column in columns.items() if column.is_text()]
    if not texts:
        raise InputError(f"{path}: no column holds texts; its columns are {', '.join(columns)}")
    for pair in PAIRS:
        if set(pair) <= set(texts):
            return list(pair)
    stems = {name: re.sub(r"[_ ]?([12]|[abAB])$", "", name) for name in texts}
    for first in texts:
        partners = [name for name in texts if name != first and stems[name] == stems[first] != name]
        if partners:
            return [first, partners[0]]
    common = [name for name in TEXT_NAMES if name in texts]
    return common[:1] or [max(texts, key=lambda name: columns[name].values.str.len().mean())]


def _find_id(columns: dict[str, ColumnProfile]) -> str | None:
    unique = [name for name, column in columns.items() if column.is_id()]
    named_id = [name for name in unique if name.lower() == "id"]
    named_id += [name for name in unique if re.search(r"_id$|Id$|^id_", name)]
    # Numbers that happen to differ in every row are ids only if the column's name says so.
    strings = [name for name in unique if columns[name].numbers is None]
    return next(iter([*named_id, *strings]), None)


def _split_tasks(
    labels: list[ColumnProfile], main: str | None, path: str
) -> tuple[list[ColumnProfile], dict[str, list[ColumnProfile]]]:
    """The columns of the main task, and groups of further columns of its kind."""
    by_name = {column.name: column for column in labels}
    if main is not None and main not in by_name:
        raise InputError(
            f"{path}: --main {main!r} is no column that can be learned; "
            f"those are {', '.join(by_name)}"
        )
    name = main or _guess_main(by_name)
    binary = [column for column in labels if column.kind() == "binary"]
    if name is None and len(binary) > 1:
        groups = _group_columns(binary)
        first = max(groups, key=lambda key: (len(groups[key]), key == "labels"))
        return groups.pop(first), groups
    main_column = by_name[name] if name else labels[0]
    if main_column.kind() != "binary":
        return [main_column], {}
    return [main_column], _group_columns([column for column in binary if column is not main_column])


def _guess_main(columns: dict[str, ColumnProfile]) -> str | None:
    by_lower_name = {name.lower(): name for name in columns}
    exact = [by_lower_name[name] for name in MAIN_NAMES if name in by_lower_name]
    partial = [name for name in columns if re.search("target|toxic|label", name.lower())]
    partial = [name for name in partial if not name.lower().startswith("severe")]
    return next(iter([*exact, *partial]), None)


def _group_columns(columns: list[ColumnProfile]) -> dict[str, list[ColumnProfile]]:
    """Columns grouped by common prefix (three or more), then by whether many rows lack a label."""
    prefixes = [column.name.split("_")[0] for column in columns]
    groups: dict[str, list[ColumnProfile]] = {}
    for column, prefix in zip(columns, prefixes, strict=True):
        is_shared = "_" in column.name and prefixes.count(prefix) >= 3
        key = prefix if is_shared else "partly_labeled" if column.missing > 0.3 else "labels"
        groups.setdefault(key, []).append(column)
    return groups
