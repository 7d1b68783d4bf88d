"""``[[tasks]]`` of kind ``multiclass`` and ``ordinal``: one of several classes."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from auxfold.config.binary_settings import BALANCED
from auxfold.config.task_settings import KIND_DESCRIPTION, TaskSettings

SQRT_BALANCED = "sqrt_balanced"  # class_weight: the square root of the balanced weights


def _check_class_weight(value: Any) -> Any:
    is_table = isinstance(value, dict)
    numbers = list(value.values()) if is_table else value if isinstance(value, list) else None
    if value is None or value in (BALANCED, SQRT_BALANCED):
        return value
    if not numbers or not all(type(n) in (int, float) and 0 < n < float("inf") for n in numbers):
        raise ValueError(
            f"expected numbers > 0, as a list (one per class) or a table by class, {BALANCED!r} or "
            f"{SQRT_BALANCED!r}"
        )
    return {k: float(n) for k, n in value.items()} if is_table else [float(n) for n in value]


_POSITIVE_NUMBER = {"type": "number", "exclusiveMinimum": 0}
_CLASS_WEIGHT_SCHEMA = {
    "anyOf": [
        {"enum": [BALANCED, SQRT_BALANCED]},
        {"type": "array", "items": _POSITIVE_NUMBER, "minItems": 2},
        {"type": "object", "additionalProperties": _POSITIVE_NUMBER},
        {"type": "null"},
    ]
}


class ClassSettings(TaskSettings):
    """The classes, and how much they count."""

    classes: Annotated[list[str], Field(min_length=2)] | Annotated[int, Field(ge=2)] | None = Field(
        None,
        description="The names of the classes in the label column, or their number, when the "
        "column holds 0, 1, 2, and so on. Classes of kind `ordinal` are in their order, the "
        "lowest first. With one column per class it may be left out: the columns are the classes.",
    )
    class_weight: Annotated[
        list[float] | dict[str, float] | str | None,
        BeforeValidator(_check_class_weight),
        WithJsonSchema(_CLASS_WEIGHT_SCHEMA),
    ] = Field(
        None,
        description="The weights of the classes in the loss: a list with one number per class, a "
        'table by class (the others have 1), `"balanced"` (rows / (classes · rows of the class) '
        'among the fold\'s training rows, as in scikit-learn), or `"sqrt_balanced"`, its square '
        "root.",
    )
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        0.0,
        description="How far labels are moved towards the uniform distribution (Szegedy et al. "
        "2016).",
    )

    @property
    def has_shares(self) -> bool:
        """Whether a label is one share per class, each in a column of its own."""
        return False

    @property
    def class_names(self) -> list[str]:
        """The classes by name; ``classes = 3`` means ``["0", "1", "2"]``."""
        if self.classes is None:
            return list(self.columns)
        if isinstance(self.classes, int):
            return [str(number) for number in range(self.classes)]
        return list(self.classes)

    @property
    def prediction_columns(self) -> list[str]:
        """A column per class, ``<column>_<class>``, or the columns of the shares."""
        if self.has_shares:
            return list(self.columns)
        return [f"{self.columns[0]}_{name}" for name in self.class_names]

    @model_validator(mode="after")
    def _distinct_classes(self) -> ClassSettings:
        names = self.class_names
        if self.classes is None and not self.has_shares:
            raise ValueError("'classes' is missing: the names of the classes, or their number")
        if len(set(names)) != len(names) or "" in names:
            raise ValueError("classes holds a name twice, or an empty one")
        if isinstance(self.class_weight, list) and len(self.class_weight) != len(names):
            raise ValueError(
                f"class_weight has {len(self.class_weight)} numbers for {len(names)} classes"
            )
        unknown = [n for n in self.class_weight or () if n not in names]
        if isinstance(self.class_weight, dict) and unknown:
            raise ValueError(
                f"class_weight names {unknown[0]!r}, which is no class; classes: {', '.join(names)}"
            )
        return self


class MulticlassSettings(ClassSettings):
    """One softmax over classes."""

    READ_BY: ClassVar = {"loss": {"cross_entropy": (), "focal": ("focal_gamma",)}}

    kind: Literal["multiclass"] = Field(description=KIND_DESCRIPTION)
    loss: Literal["cross_entropy", "focal"] = Field(
        "cross_entropy",
        description='The loss of a row. `"cross_entropy"`: softmax cross-entropy. `"focal"`: the '
        "same, with rows that are already right counting less (Lin et al. 2017).",
    )
    focal_gamma: Annotated[float, Field(ge=0.0)] = Field(
        2.0,
        description="The exponent of the focal loss. The larger it is, the less easy rows count.",
    )
    normalize_votes: bool = Field(
        False,
        description="With one column per class: divides the numbers of a row by their sum, for "
        "columns of votes. Without it, the shares of a row must sum to 1.",
    )

    @property
    def has_shares(self) -> bool:
        """Whether a label is one share per class, each in a column of its own."""
        return len(self.columns) > 1

    @property
    def targets(self) -> list[str]:
        """The column of the likeliest class: the label column, or with shares the task's name."""
        return [self.name] if self.has_shares else list(self.columns)

    @model_validator(mode="after")
    def _columns_of_shares(self) -> MulticlassSettings:
        if self.has_shares and len(self.columns) != len(self.class_names):
            raise ValueError(
                f"{len(self.columns)} columns for {len(self.class_names)} classes; a multiclass "
                f"task has one column of classes, or a column of shares for each class"
            )
        if self.normalize_votes and not self.has_shares:
            raise ValueError("normalize_votes needs a column of votes for each class")
        return self


class OrdinalSettings(ClassSettings):
    """One of several classes that have an order."""

    kind: Literal["ordinal"] = Field(description=KIND_DESCRIPTION)

    @model_validator(mode="after")
    def _one_column(self) -> OrdinalSettings:
        if len(self.columns) != 1 or self.classes is None:
            raise ValueError("an ordinal task has one column and 'classes'; make a task of each")
        return self
