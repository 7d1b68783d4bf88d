"""``[folds]``: how rows are divided for cross-validation."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from auxfold.config.section import Section, Seed

DATA_SPLIT = "data.split"  # as folds.validation: the rows that this column marks as dev

NEAR_EQUAL = 0.8  # the similarity of near-equal texts where folds.group_near_duplicates is not set


def _check_validation(value: Any) -> Any:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value > 0
    is_share = isinstance(value, float) and 0.0 < value < 1.0
    is_file = isinstance(value, str) and value != ""
    if value is None or is_count or is_share or is_file:
        return value
    raise ValueError("takes a file, a share between 0 and 1, or a number of rows")


_VALIDATION_SCHEMA = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        {"type": "integer", "minimum": 1},
    ]
}


class Folds(Section):
    """``[folds]``: how rows are divided for cross-validation."""

    n_splits: Annotated[int, Field(ge=2)] = Field(
        5, description="The number of folds, stratified by all labels (Sechidis et al. 2011)."
    )
    seed: Seed | None = Field(
        None,
        description="The seed of the division into folds. Without it, the experiment's `seed`. Set "
        "it to train with several seeds on the same folds.",
    )
    group_duplicates: bool = Field(
        True,
        description="Keeps equal texts in one fold. Case, white space and punctuation are ignored "
        "in the comparison.",
    )
    group_near_duplicates: Annotated[float, Field(ge=0.6, lt=1.0)] | None = Field(
        None,
        description="Keeps near-equal texts in one fold, too: those whose sets of five-character "
        "shingles have at least this Jaccard similarity, such as `0.8`. A text with fewer than 20 "
        "shingles has no near-equal ones. A group of more different texts than 1 % of the rows is "
        "refused.",
    )
    validation: Annotated[
        str | float | int | None,
        BeforeValidator(_check_validation),
        WithJsonSchema(_VALIDATION_SCHEMA),
    ] = Field(
        None,
        description="One split instead of folds, called fold 0. Its validation rows are a file "
        "with the columns of `data.train`, a share of the rows (`0.1`), a number of rows (`500`), "
        'or the rows that a column marks as dev (`"data.split"`).',
    )

    @model_validator(mode="after")
    def _check_near_duplicates(self) -> Self:
        if self.group_near_duplicates is None:
            return self
        if not self.group_duplicates:
            raise ValueError(
                "group_near_duplicates keeps equal texts together, too; leave out "
                "group_duplicates = false"
            )
        if isinstance(self.validation, str):
            raise ValueError(
                f"group_near_duplicates is for rows that are divided by chance, but validation = "
                f"{self.validation!r} names those to validate on; leave one of them out"
            )
        return self

    @property
    def validation_file(self) -> str | None:
        """The file with the validation rows, where they are in one."""
        is_file = isinstance(self.validation, str) and self.validation != DATA_SPLIT
        return str(self.validation) if is_file else None

    @property
    def names(self) -> range:
        """The numbers of the folds: only 0 where ``validation`` is one split."""
        return range(self.n_splits if self.validation is None else 1)
