"""``[[tasks]]``: the heads, by kind."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from auxfold.config.section import Name, Section, refuse_unread


class TaskSettings(Section):
    """``[[tasks]]``: one head, its columns and its weight in the objective."""

    name: Name
    columns: Annotated[list[str], Field(min_length=1)]
    main: bool = False
    weight: Annotated[float, Field(ge=0.0)] = 1.0
    label_weights: list[Annotated[float, Field(ge=0.0)]] | None = None
    reduction: Literal["mean", "sum"] = "mean"  # over columns; "sum": each counts in full
    row_weight: str | None = None  # a column of weights >= 0, for this task only
    divide_by_weight_sum: bool = False  # divide by the sum of weights instead of the cell count

    @property
    def prediction_columns(self) -> list[str]:
        """The columns that the head predicts, one per output."""
        return list(self.columns)

    @model_validator(mode="after")
    def _columns_and_weights(self) -> TaskSettings:
        if len(set(self.columns)) != len(self.columns):
            raise ValueError("columns holds a name twice")
        if self.label_weights is not None and len(self.label_weights) != len(self.columns):
            raise ValueError(
                f"label_weights has {len(self.label_weights)} numbers for "
                f"{len(self.columns)} columns"
            )
        return self


BALANCED = "balanced"  # pos_weight: by the label's own rate

# Which keys a binary task's loss reads, beside those that all of them read.
_LOSS_KEYS = {
    "bce": (),
    "focal": ("focal_gamma",),
    "binned": ("bins",),
    "metric_shaped": ("power",),
}


def _weight_or_name(given: Any) -> Any:
    numbers = given if isinstance(given, list) else [given]
    if isinstance(given, str) and given:
        return given
    if not numbers or not all(type(n) in (int, float) and 0 < n < float("inf") for n in numbers):
        raise ValueError(
            f"expected a number > 0, a list of them (one per column), {BALANCED!r}, or the name of a "
            f"column of weights"
        )
    return [float(n) for n in numbers] if isinstance(given, list) else float(given)


class BinarySettings(TaskSettings):
    """One probability per column; labels in [0, 1], hard or soft."""

    kind: Literal["binary"]
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0  # moves labels towards 0.5
    loss: Literal["bce", "focal", "binned", "metric_shaped"] = "bce"  # docs/RECIPES.md
    focal_gamma: Annotated[float, Field(ge=0.0)] = 2.0  # focal: larger looks less at easy rows
    bins: Annotated[int, Field(ge=2)] = 11  # binned: classes from 0 to 1, evenly spaced
    power: Annotated[float, Field(ge=1.0)] = 5.0  # metric_shaped: larger looks at the worst alone
    # What the positive part of a label counts: a number, one per column, "balanced" (negatives over
    # positives of the fold's training rows), or a column of the file with a weight per row.
    pos_weight: Annotated[
        float | list[float] | str, BeforeValidator(_weight_or_name)
    ] = 1.0  # fmt: skip

    @property
    def pos_weight_column(self) -> str | None:
        """The column with a positive weight per row, where one is named."""
        given = self.pos_weight
        return given if isinstance(given, str) and given != BALANCED else None

    @model_validator(mode="after")
    def _loss_and_weights(self) -> BinarySettings:
        refuse_unread(self, "loss", _LOSS_KEYS)
        if self.loss == "metric_shaped" and len(self.columns) != 1:
            raise ValueError(
                "loss = 'metric_shaped' is for a task of one column; make a task of each"
            )
        given = self.pos_weight
        if isinstance(given, list) and len(given) != len(self.columns):
            raise ValueError(f"pos_weight has {len(given)} numbers for {len(self.columns)} columns")
        return self


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
