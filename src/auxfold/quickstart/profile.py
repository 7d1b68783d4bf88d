"""What the columns of an unknown table look like: text, id, labels and of which kind."""

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
# Numbers that count or name something rather than say something about the text.
NO_LABEL = re.compile(
    r"(^|_)(id|ids|index|idx|count|counts|n|num|date|year|time|timestamp|fold|split|weight|votes|"
    r"likes|annotators?)($|_)|_?Id$",
)
MOST_CLASSES = 50


@dataclass(frozen=True)
class Column:
    """One column of a table, every value a string.

    Attributes:
        name: its heading.
        values: ``(rows,)`` stripped strings, missing ones left out.
        rows: of the whole table.
        numbers: the values as numbers, where all of them are.
    """

    name: str
    values: pd.Series
    rows: int
    numbers: np.ndarray | None

    @classmethod
    def of(cls, name: str, cells: pd.Series) -> Column:
        stripped = cells.str.strip()
        known = stripped[~stripped.str.lower().isin(MISSING_LABELS)]
        plain = known.str.lower().replace({"true": "1", "false": "0"})
        numbers = pd.to_numeric(plain, errors="coerce").to_numpy(dtype=np.float64)
        numeric = len(numbers) > 0 and bool(np.isfinite(numbers).all())
        return cls(name, known, len(cells), numbers if numeric else None)

    @property
    def distinct(self) -> int:
        return int(self.values.nunique())

    @property
    def missing(self) -> float:
        """Share of rows without a value."""
        return 1 - len(self.values) / self.rows

    @property
    def words(self) -> float:
        """Words per value, in the mean."""
        return float(self.values.str.count(r"\s+").mean()) + 1 if len(self.values) else 0.0

    def is_text(self) -> bool:
        """Several words a row, mostly different ones."""
        different = self.distinct >= 0.3 * max(len(self.values), 1)
        return self.numbers is None and self.words >= 2.5 and different and self.missing < 0.5

    def is_id(self) -> bool:
        """A different value in every row, and none missing."""
        fractions = self.numbers is not None and (self.numbers != np.round(self.numbers)).any()
        return self.distinct == self.rows and not fractions

    def kind(self) -> str | None:
        """``binary``, ``multiclass`` or ``regression``; None for what no task can be."""
        if self.distinct < 2:
            return None
        if self.numbers is None:
            few = self.distinct <= min(MOST_CLASSES, max(2, len(self.values) // 10))
            return "multiclass" if few and self.words < 5 else None
        if self.numbers.min() >= 0 and self.numbers.max() <= 1:
            return "binary"
        if (self.numbers == np.round(self.numbers)).all() and self.distinct <= 20:
            ordered = self.name.lower() in ("score", "rating", "stars", "grade")
            return "regression" if ordered else "multiclass"
        return "regression"

    def classes(self) -> list[str]:
        """The values of a multi-class column, numbers in their order."""
        found = self.values.unique().tolist()
        return sorted(found, key=float) if self.numbers is not None else sorted(found)

    def described(self) -> str:
        """What a person wants to know of a label column."""
        if self.kind() == "binary":
            told = f"{(self.numbers >= 0.5).mean():.1%} at 0.5 or more"
            told += "" if set(self.numbers) <= {0.0, 1.0} else ", soft"
        elif self.kind() == "regression":
            told = (
                f"{self.numbers.min():g} to {self.numbers.max():g}, mean {self.numbers.mean():.3g}"
            )
        else:
            counts = self.values.value_counts()
            told = f"{len(counts)} classes, {counts.iloc[-1]:,} to {counts.iloc[0]:,} rows"
        return told + (f", {self.missing:.0%} not labelled" if self.missing else "")


@dataclass(frozen=True)
class Profile:
    """The roles of a table's columns.

    Attributes:
        rows: of the table.
        texts: the one or two text columns.
        id: the id column, or None.
        main: the columns of the main task.
        groups: name to columns of further tasks of the main task's kind.
        others: columns that could be tasks of another kind.
        repeated: id-like columns whose values repeat: rows that may have to stay together.
        unused: name to the reason why a column has no role.
    """

    rows: int
    texts: list[str]
    id: str | None
    main: list[Column]
    groups: dict[str, list[Column]]
    others: list[Column]
    repeated: list[str]
    unused: dict[str, str] = field(default_factory=dict)


def profile_table(
    frame: pd.DataFrame, path: str, features: list[str], main: str | None = None
) -> Profile:
    """Guess the role of every column.

    Args:
        frame: the table, every value a string.
        path: named in errors.
        features: columns that stand in the test file as well, which labels do not.
        main: the main column, where the user names it.

    Raises:
        InputError: no text, or nothing that could be a label.
    """
    columns = {name: Column.of(name, frame[name]) for name in frame.columns}
    texts = _texts(columns, path)
    rest = {n: c for n, c in columns.items() if n not in texts}
    id_column = _id(rest)
    labels, repeated, unused = [], [], {}
    for name, column in rest.items():
        if name == id_column:
            continue
        if name != main and re.search(r"_id$|Id$", name) and column.distinct < column.rows:
            repeated.append(name)
        elif name != main and NO_LABEL.search(name):
            unused[name] = "counts or names something"
        elif name != main and name in features:
            unused[name] = "stands in the test file as well"
        elif column.is_text() or column.kind() is None:
            unused[name] = "one value alone" if column.distinct < 2 else "neither number nor class"
        else:
            labels.append(column)
    if not labels:
        raise InputError(
            f"{path}: no column looks like a label (numbers, or at most {MOST_CLASSES} classes); "
            f"its columns are {', '.join(columns)}"
        )
    chosen, groups = _families(labels, main, path)
    taken = {c.name for c in chosen} | {c.name for g in groups.values() for c in g}
    others = [c for c in labels if c.name not in taken]
    return Profile(len(frame), texts, id_column, chosen, groups, others, repeated, unused)


def _texts(columns: dict[str, Column], path: str) -> list[str]:
    """The text column, or a pair of them."""
    found = [name for name, column in columns.items() if column.is_text()]
    if not found:
        raise InputError(f"{path}: no column holds texts; its columns are {', '.join(columns)}")
    for pair in PAIRS:
        if set(pair) <= set(found):
            return list(pair)
    stems = {name: re.sub(r"[_ ]?([12]|[abAB])$", "", name) for name in found}
    for first in found:
        second = [n for n in found if n != first and stems[n] == stems[first] != n]
        if second:
            return [first, second[0]]
    named = [name for name in TEXT_NAMES if name in found]
    return named[:1] or [max(found, key=lambda name: columns[name].values.str.len().mean())]


def _id(columns: dict[str, Column]) -> str | None:
    unique = [name for name, column in columns.items() if column.is_id()]
    named = [n for n in unique if n.lower() == "id"] + [
        n for n in unique if re.search(r"_id$|Id$|^id_", n)
    ]
    # A number that happens to differ in every row is no id unless it is called one.
    words = [name for name in unique if columns[name].numbers is None]
    return next(iter([*named, *words]), None)


def _families(
    labels: list[Column], main: str | None, path: str
) -> tuple[list[Column], dict[str, list[Column]]]:
    """The main task's columns, and groups of further columns of its kind."""
    by_name = {column.name: column for column in labels}
    if main is not None and main not in by_name:
        raise InputError(
            f"{path}: --main {main!r} is no column that can be learnt; "
            f"those are {', '.join(by_name)}"
        )
    name = main or _main_name(by_name)
    binary = [column for column in labels if column.kind() == "binary"]
    if name is None and len(binary) > 1:
        groups = _groups(binary)
        first = max(groups, key=lambda key: (len(groups[key]), key == "labels"))
        return groups.pop(first), groups
    chosen = by_name[name] if name else labels[0]
    if chosen.kind() != "binary":
        return [chosen], {}
    return [chosen], _groups([column for column in binary if column is not chosen])


def _main_name(columns: dict[str, Column]) -> str | None:
    lower = {name.lower(): name for name in columns}
    exact = [lower[name] for name in MAIN_NAMES if name in lower]
    parts = [name for name in columns if re.search("target|toxic|label", name.lower())]
    alone = [name for name in parts if not name.lower().startswith("severe")]
    return next(iter([*exact, *alone]), None)


def _groups(columns: list[Column]) -> dict[str, list[Column]]:
    """By common prefix (three columns or more), and by whether most rows are not labelled."""
    prefixes = [column.name.split("_")[0] for column in columns]
    made: dict[str, list[Column]] = {}
    for column, prefix in zip(columns, prefixes, strict=True):
        shared = "_" in column.name and prefixes.count(prefix) >= 3
        key = prefix if shared else "partly_labelled" if column.missing > 0.3 else "labels"
        made.setdefault(key, []).append(column)
    return made
