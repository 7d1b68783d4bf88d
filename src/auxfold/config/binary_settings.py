"""``[[tasks]]`` of kind ``binary``, and what it has in common with the kind ``tags``."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from auxfold.config.task_settings import KIND_DESCRIPTION, TaskSettings
from auxfold.errors import nearest

BALANCED = "balanced"  # pos_weight: negatives over positives, label by label


def _check_pos_weight(value: Any) -> Any:
    if isinstance(value, str) and value:
        return value
    numbers = value if isinstance(value, list) else [value]
    if not numbers or not all(type(n) in (int, float) and 0 < n < float("inf") for n in numbers):
        raise ValueError(
            f"expected a number > 0, a list of them (one per column), {BALANCED!r}, or the name of "
            f"a column of weights"
        )
    return [float(n) for n in numbers] if isinstance(value, list) else float(value)


_POSITIVE_NUMBER = {"type": "number", "exclusiveMinimum": 0}
_POS_WEIGHT_SCHEMA = {
    "anyOf": [
        _POSITIVE_NUMBER,
        {"type": "array", "items": _POSITIVE_NUMBER, "minItems": 1},
        {"type": "string", "minLength": 1},
    ]
}


class ProbabilitySettings(TaskSettings):
    """The keys of kinds that predict one probability per label: ``binary`` and ``tags``."""

    READ_BY: ClassVar = {
        "loss": {
            "bce": (),
            "focal": ("focal_gamma",),
            "binned": ("bins",),
            "metric_shaped": ("power",),
        }
    }

    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        0.0, description="How far labels are moved towards 0.5 (Szegedy et al. 2016)."
    )
    loss: Literal["bce", "focal", "binned", "metric_shaped"] = Field(
        "bce",
        description='The loss of a cell. `"bce"`: sigmoid cross-entropy. `"focal"`: the same, with '
        "rows that are already right counting less (Lin et al. 2017; Li et al. 2020 for soft "
        'labels). `"binned"`: the label as one of evenly spaced classes (Jigsaw 2019, 2nd place). '
        '`"metric_shaped"`: the bias metric\'s shape, with `[identities]` (Jigsaw 2019, 1st '
        "place).",
    )
    focal_gamma: Annotated[float, Field(ge=0.0)] = Field(
        2.0,
        description="The exponent of the focal loss. The larger it is, the less easy rows count.",
    )
    bins: Annotated[int, Field(ge=2)] = Field(
        11, description="The number of classes of the binned loss, evenly spaced from 0 to 1."
    )
    power: Annotated[float, Field(ge=1.0)] = Field(
        5.0,
        description="The exponent of the power mean over identities in the metric-shaped loss. The "
        "larger it is, the more the worst identity counts.",
    )
    pos_weight: Annotated[
        float | list[float] | str,
        BeforeValidator(_check_pos_weight),
        WithJsonSchema(_POS_WEIGHT_SCHEMA),
    ] = Field(
        1.0,
        description="The weight of the positive part of a label: a number, a list with one per "
        'column, `"balanced"` (negatives over positives of the fold\'s training rows), or the name '
        "of a column with a weight per row.",
    )

    @property
    def pos_weight_column(self) -> str | None:
        """The column with a positive weight per row, where one is named."""
        is_column = isinstance(self.pos_weight, str) and self.pos_weight != BALANCED
        return str(self.pos_weight) if is_column else None

    @model_validator(mode="after")
    def _loss_and_weights(self) -> ProbabilitySettings:
        if self.loss == "metric_shaped" and len(self.label_columns) != 1:
            raise ValueError(
                "loss = 'metric_shaped' is for a task of one column; make a task of each"
            )
        n_weights = len(self.pos_weight) if isinstance(self.pos_weight, list) else None
        if n_weights not in (None, len(self.label_columns)):
            raise ValueError(
                f"pos_weight has {n_weights} numbers for {len(self.label_columns)} columns"
            )
        return self


class BinarySettings(ProbabilitySettings):
    """One probability per column; labels in [0, 1], hard or soft, or words."""

    kind: Literal["binary"] = Field(description=KIND_DESCRIPTION)
    positive: str | None = Field(
        None,
        description="The word that means 1, in columns of words. Any other word means 0. Case and "
        "white space around it do not count. Without it, labels are numbers, or of one pair: yes "
        "and no, true and false, y and n, t and f, pos and neg, positive and negative.",
    )
    positives: dict[str, str] | None = Field(
        None, description='The same for single columns: `positives = { intent = "buy" }`.'
    )

    def positive_word(self, column: str) -> str | None:
        """The word that means 1 in a column; None where its labels are numbers or a known pair."""
        return (self.positives or {}).get(column, self.positive)

    @model_validator(mode="after")
    def _positive_words(self) -> BinarySettings:
        positives = self.positives or {}
        for column in positives:
            if column not in self.columns:
                raise ValueError(
                    f"positives names the column {column!r}{nearest(column, self.columns)}, which "
                    f"is none of the task's columns"
                )
        words = [self.positive, *positives.values()]
        if any(word is not None and not word.strip() for word in words):
            raise ValueError("a positive word is empty; an empty cell means not labeled")
        return self
