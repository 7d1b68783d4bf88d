"""``[[tasks]]``: the kinds of tasks, and the tasks of rows with a list of labels."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from auxfold.config.binary_settings import BinarySettings
from auxfold.config.class_settings import MulticlassSettings, OrdinalSettings
from auxfold.config.tags_settings import TagsSettings
from auxfold.config.task_settings import KIND_DESCRIPTION, TaskSettings


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
    BinarySettings | TagsSettings | MulticlassSettings | OrdinalSettings | RegressionSettings,
    Field(discriminator="kind"),
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
