"""What a competition's sample submission says about the columns of the training table."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from auxfold.data.files import read_columns
from auxfold.quickstart.column import ColumnProfile

CLASS_KINDS = ("multiclass", "ordinal", "binary")


@dataclass(frozen=True)
class Sample:
    """A sample submission.

    Attributes:
        path: the file.
        id: its first column.
        columns: the columns to fill.
        cells: the cells of these columns, as strings.
    """

    path: str
    id: str
    columns: list[str]
    cells: pd.DataFrame

    @classmethod
    def read(cls, path: str) -> Sample:
        """Read a sample submission.

        Raises:
            InputError: an unreadable file.
        """
        frame = read_columns(path)
        names = list(frame.columns)
        return cls(path, names[0], names[1:], frame[names[1:]])

    def targets(self, labels: dict[str, ColumnProfile]) -> list[str]:
        """The label columns that it asks for, as far as its columns tell.

        They are called as in the table, or are the classes of one column: by name, or as
        ``<column>_<class>``.
        """
        if self.columns and set(self.columns) <= labels.keys():
            return self.columns
        for name, column in labels.items():
            classes = column.classes() if column.kind in CLASS_KINDS else []
            classes = list(column.tag_counts) if column.kind == "tags" else classes
            by_class = {form for c in classes for form in (c, f"{name}_{c}")}
            if len(classes) == len(self.columns) > 1 and set(self.columns) <= by_class:
                return [name]
        return []

    def holds_words(self, column: ColumnProfile) -> bool:
        """Whether its cells for a label column are words, not numbers."""
        names = [column.name] if column.name in self.columns else self.columns
        if len(names) != 1:
            return False
        return bool(pd.to_numeric(self.cells[names[0]], errors="coerce").isna().any())

    def holds_fractions(self, column: ColumnProfile) -> bool:
        """Whether its cells for a label column are written with a decimal point."""
        names = [column.name] if column.name in self.columns else self.columns
        return len(names) == 1 and bool(self.cells[names[0]].str.contains(".", regex=False).any())
