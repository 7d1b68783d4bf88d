"""``[[tasks]]``: the keys of every kind of task."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from auxfold.config.section import Name, Section

# What out-of-fold files hold besides the ids and the predictions.
FOLD_COLUMN = "fold"
LABEL_SUFFIX = "__label"


def is_annotation(column: str) -> bool:
    """Whether a column of an out-of-fold file holds the fold or a label, not a prediction."""
    return column == FOLD_COLUMN or column.endswith(LABEL_SUFFIX)


KIND_DESCRIPTION = (
    "What the task predicts. `binary`: a probability per column, for labels in [0, 1], hard or "
    "soft, or words. `tags`: a probability per tag, for one column whose cells hold any number of "
    "tags. `multiclass`: one of several classes, for one column, or for a column of shares per "
    "class. `ordinal`: one of several classes in an order, for one column. `regression`: a number "
    "per column."
)


class TaskSettings(Section):
    """``[[tasks]]``: one head, its columns and its weight in the objective."""

    name: Name = Field(
        description="The name of the task in metrics (`<task>/<metric>`), logs and `--set`."
    )
    kind: str = Field(description=KIND_DESCRIPTION)
    columns: Annotated[list[str], Field(min_length=1)] = Field(
        description="The label columns. An empty cell is not labeled: it counts in no loss, metric "
        "or stratification."
    )
    na_values: list[str] = Field(
        [],
        description='Values of the label columns that mean "not labeled", besides an empty cell: '
        '`["-", "-1"]`.',
    )
    main: bool = Field(
        False,
        description="Marks the task that is predicted at inference and that drives the selection. "
        "Exactly one of several tasks is the main one; the others are auxiliary.",
    )
    weight: Annotated[float, Field(ge=0.0)] = Field(
        1.0, description="The weight of the task's loss in the total loss. At 0 it adds nothing."
    )
    label_weights: list[Annotated[float, Field(ge=0.0)]] | None = Field(
        None,
        description="The weights of the columns within the task's loss, one per column. Without "
        "it, all are 1.",
    )
    reduction: Literal["mean", "sum"] = Field(
        "mean",
        description="How the losses of the columns become the task's loss: the mean over all "
        "labeled cells, or the sum of the columns' means, in which each column counts in full.",
    )
    row_weight: str | None = Field(
        None, description="A column of weights >= 0 for the rows in this task only."
    )
    divide_by_weight_sum: bool = Field(
        False,
        description="Divides the loss by the sum of the rows' weights instead of the number of "
        "labeled cells, so that a constant weight changes nothing.",
    )

    @property
    def file_columns(self) -> list[str]:
        """The columns that are read from the file."""
        return list(self.columns)

    @property
    def label_columns(self) -> list[str]:
        """The task's columns of ``Table.labels``, also of ``<column>__label`` out of fold."""
        return list(self.columns)

    @property
    def targets(self) -> list[str]:
        """What is predicted and scored: every label column, or one set of classes as a whole."""
        return self.label_columns

    @property
    def prediction_columns(self) -> list[str]:
        """The columns that the head predicts, one per output."""
        return self.label_columns

    @property
    def class_names(self) -> list[str] | None:
        """The classes of the column, where the labels are classes."""
        return None

    @property
    def pos_weight_column(self) -> str | None:
        """The column with a positive weight per row, where one is named."""
        return None

    @model_validator(mode="after")
    def _columns_and_weights(self) -> TaskSettings:
        if len(set(self.columns)) != len(self.columns):
            raise ValueError("columns holds a name twice")
        if self.label_weights is not None and len(self.label_weights) != len(self.targets):
            raise ValueError(
                f"label_weights has {len(self.label_weights)} numbers for "
                f"{len(self.targets)} columns"
            )
        return self
