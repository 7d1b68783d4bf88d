"""``[[tasks]]``: the heads, by kind."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from auxfold.settings.section import Name, Section


class TaskSettings(Section):
    """``[[tasks]]``: one head, its columns and its weight in the objective."""

    name: Name
    columns: Annotated[list[str], Field(min_length=1)]
    main: bool = False
    weight: Annotated[float, Field(ge=0.0)] = 1.0
    column_weights: list[Annotated[float, Field(ge=0.0)]] | None = None
    reduction: Literal["mean", "sum"] = "mean"  # over columns; "sum": each counts in full
    row_weight: str | None = None  # a column of weights >= 0, for this task only
    normalize_row_weights: bool = False  # divide by the sum of weights instead of the cell count

    @property
    def prediction_columns(self) -> list[str]:
        """The columns that the head predicts, one per output."""
        return list(self.columns)

    @model_validator(mode="after")
    def _columns_and_weights(self) -> TaskSettings:
        if len(set(self.columns)) != len(self.columns):
            raise ValueError("columns holds a name twice")
        if self.column_weights is not None and len(self.column_weights) != len(self.columns):
            raise ValueError(
                f"column_weights has {len(self.column_weights)} numbers for "
                f"{len(self.columns)} columns"
            )
        return self


class BinarySettings(TaskSettings):
    """One sigmoid per column; labels in [0, 1], hard or soft."""

    kind: Literal["binary"]
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0  # moves labels towards 0.5


class MulticlassSettings(TaskSettings):
    """One softmax over the classes of one column."""

    kind: Literal["multiclass"]
    classes: Annotated[list[str], Field(min_length=2)] | Annotated[int, Field(ge=2)]
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0

    @property
    def class_names(self) -> list[str]:
        """The classes by name; ``classes = 3`` stands for ``["0", "1", "2"]``."""
        if isinstance(self.classes, int):
            return [str(number) for number in range(self.classes)]
        return list(self.classes)

    @property
    def prediction_columns(self) -> list[str]:
        """A column per class, ``<column>_<class>``."""
        return [f"{self.columns[0]}_{name}" for name in self.class_names]

    @model_validator(mode="after")
    def _one_column_of_distinct_classes(self) -> MulticlassSettings:
        if len(self.columns) != 1:
            raise ValueError("a multiclass task has one column; make a task of each")
        if len(set(self.class_names)) != len(self.class_names) or "" in self.class_names:
            raise ValueError("classes holds a name twice, or an empty one")
        return self


class RegressionSettings(TaskSettings):
    """One number per column, in its own units."""

    kind: Literal["regression"]
    loss: Literal["mse", "mae", "huber"] = "mse"
    huber_delta: Annotated[float, Field(gt=0.0)] = 1.0  # in deviations where standardised
    standardize: bool = True  # learn (label - mean) / deviation of the fold's training rows


AnyTask = Annotated[
    BinarySettings | MulticlassSettings | RegressionSettings, Field(discriminator="kind")
]


def tasks_of_groups(data: Any) -> list[dict[str, Any]]:
    """``[[tasks]]`` for ``data.group_sizes = [3, 2]``: ``labels_0`` and ``labels_1``.

    They read the entries of a column ``labels`` that holds a list in every row; the first is main.
    """
    sizes = data.get("group_sizes") if isinstance(data, dict) else None
    return [
        {
            "name": f"labels_{place}",
            "kind": "multiclass",
            "columns": [f"labels_{place}"],
            "classes": size,
            "main": place == 0,
        }
        for place, size in enumerate(sizes if isinstance(sizes, list) else [])
    ]
