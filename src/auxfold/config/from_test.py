"""``[[data.from_test]]``: labeled examples of the test file that become training rows."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from auxfold.config.section import Section

FROM_TEST = "from_test"  # what the rows are called next to the names of sources


class LabeledExamples(Section):
    """``[[data.from_test]]``: labeled examples of the test file that become training rows.

    A test file may bring texts whose labels are known, such as an example that breaks the rule of
    its row. Each entry makes one training row of every row of the test file.
    """

    columns: Annotated[dict[str, str], Field(min_length=1)] = Field(
        description="The columns of the example: a column of this experiment = the column of the "
        "test file that it is read from. One of them is a text; rows where these texts are empty "
        'are left out. An empty name (`subreddit = ""`) leaves a text of the example empty.',
    )
    labels: dict[str, float | str] = Field(
        {},
        description="The labels of the example, as a training file has them: a label column = its "
        "value. Other label columns are not labeled.",
    )
    keep: list[str] = Field(
        [], description="Columns that the example has in common with its row of the test file."
    )

    @model_validator(mode="after")
    def _named_once(self) -> LabeledExamples:
        names = [*self.columns, *self.labels, *self.keep]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name!r} is named twice among columns, labels and keep")
        return self

    @property
    def file_columns(self) -> list[str]:
        """The columns of the test file that are read."""
        return [*(column for column in self.columns.values() if column), *self.keep]

    @property
    def label_cells(self) -> dict[str, str]:
        """Label column to its cell, as a training file has it."""
        return {column: _cell(value) for column, value in self.labels.items()}


def _cell(value: float | str) -> str:
    """A whole number without its decimal point, which the name of a class does not have."""
    is_whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if is_whole else str(value)
