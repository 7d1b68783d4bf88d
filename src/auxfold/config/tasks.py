"""``[[tasks]]``: the kinds of tasks, and the tasks of rows with a list of labels."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from auxfold.config.binary_settings import BinarySettings
from auxfold.config.task_settings import KIND_DESCRIPTION, TaskSettings


class MulticlassSettings(TaskSettings):
    """One softmax over the classes of one column."""

    kind: Literal["multiclass"] = Field(description=KIND_DESCRIPTION)
    classes: Annotated[list[str], Field(min_length=2)] | Annotated[int, Field(ge=2)] = Field(
        description="The names of the classes in the label column, or their number, when the "
        "column holds 0, 1, 2, and so on."
    )
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        0.0,
        description="How far labels are moved towards the uniform distribution (Szegedy et al. "
        "2016).",
    )

    @property
    def class_names(self) -> list[str]:
        """The classes by name; ``classes = 3`` means ``["0", "1", "2"]``."""
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

    kind: Literal["regression"] = Field(description=KIND_DESCRIPTION)
    loss: Literal["mse", "mae", "huber"] = Field(
        "mse",
        description="The loss of a cell: the squared error, the absolute error, or Huber's, which "
        "is squared near 0 and linear from `huber_delta` on.",
    )
    huber_delta: Annotated[float, Field(gt=0.0)] = Field(
        1.0,
        description="Where the Huber loss becomes linear, in standard deviations of the label if "
        "`standardize` is on, else in the column's units.",
    )
    standardize: bool = Field(
        True,
        description="Trains on (label - mean) / standard deviation of the fold's training rows. "
        "Predictions are in the column's own units either way.",
    )


AnyTask = Annotated[
    BinarySettings | MulticlassSettings | RegressionSettings, Field(discriminator="kind")
]


def tasks_from_group_sizes(data: Any) -> list[dict[str, Any]]:
    """The ``[[tasks]]`` of ``data.group_sizes = [3, 2]``: ``labels_0`` and ``labels_1``.

    They read the entries of a column ``labels`` that holds a list in every row. The first task is
    the main one.

    Args:
        data: the ``[data]`` section as it was read, not yet checked.

    Returns:
        A task per group, as it would be read from a file; none without ``group_sizes``.
    """
    sizes = data.get("group_sizes") if isinstance(data, dict) else None
    return [
        {
            "name": f"labels_{index}",
            "kind": "multiclass",
            "columns": [f"labels_{index}"],
            "classes": size,
            "main": index == 0,
        }
        for index, size in enumerate(sizes if isinstance(sizes, list) else [])
    ]
