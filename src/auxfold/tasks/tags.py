"""Tags: any number of labels per row, written in one cell; a binary label each."""

from __future__ import annotations

import numpy as np

from auxfold.config import BinarySettings, TagsSettings
from auxfold.data.tag_cells import Tag
from auxfold.data.tags import tag_format
from auxfold.errors import InputError
from auxfold.tasks.binary import BinaryTask
from auxfold.tasks.task import Task


class TagsTask(BinaryTask):
    """One probability per tag; losses, metrics and thresholds are those of binary columns."""

    settings: TagsSettings
    kind = "tags"

    def __init__(self, settings: TagsSettings) -> None:
        if settings.tags is None:
            raise InputError(
                f"the tags of tasks.{settings.name} are not known yet; run make_folds.py, which "
                f"learns them from the training table"
            )
        super().__init__(settings)

    @property
    def short_names(self) -> list[str]:
        return self.settings.tag_names

    def for_column(self, column: str) -> Task:
        """One tag as a binary task."""
        name, main = self.settings.name, self.settings.main
        return BinaryTask(BinarySettings(name=name, kind="binary", columns=[column], main=main))

    def to_columns(self, predictions: np.ndarray) -> dict[str, np.ndarray]:
        """The tags with a prediction of 0.5 or more as a cell, then every tag's prediction."""
        cells = np.array(self.format_cells(predictions >= 0.5), dtype=object)
        return {self.settings.columns[0]: cells, **super().to_columns(predictions)}

    def format_cells(self, decisions: np.ndarray) -> list[str]:
        """The cells that hold the tags of each row, in the form of the training table.

        Args:
            decisions: ``(rows, tags)`` bool.
        """
        form = tag_format(self.settings)
        tags: list[Tag] = [*(self.settings.tags or [])]
        return [
            form.join(tag for tag, flag in zip(tags, row, strict=True) if flag) for row in decisions
        ]

    def _check_both_classes(self, values: np.ndarray, column: str, path: str) -> None:
        positive = int((values >= 0.5).sum())
        if positive in (0, len(values)):
            tag = column.removeprefix(f"{self.settings.columns[0]}_")
            rows = "no labeled row" if positive == 0 else f"all {len(values)} labeled rows"
            raise InputError(
                f"{path}: column {self.settings.columns[0]!r}: the tag {tag!r} is in {rows}; leave "
                f"it out of tasks.{self.name}.tags"
            )
