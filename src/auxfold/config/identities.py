"""``[identities]`` and ``[sample_weights]``: what is known of a row, and how much it counts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, model_validator

from auxfold.config.section import Section

BIAS = "jigsaw_bias"  # the metric's name, in front of "/score" and its parts
BIAS_FAMILIES = ("subgroup", "bpsn", "bnsp")


class Identities(Section):
    """``[identities]``: the columns by which the main task's bias is measured.

    Values in [0, 1], the share of annotators who saw the identity mentioned; an empty cell is
    "not annotated". Such a column may be a task's label column too.
    """

    columns: list[str] = []  # empty: no bias metrics

    @property
    def metrics(self) -> list[str]:
        """What can be measured and selected by, under the columns."""
        parts = ["score", "overall", *BIAS_FAMILIES]
        parts += [f"{family}/{column}" for family in BIAS_FAMILIES for column in self.columns]
        return [f"{BIAS}/{part}" for part in parts] if self.columns else []

    @model_validator(mode="after")
    def _each_once(self) -> Identities:
        if len(set(self.columns)) != len(self.columns):
            raise ValueError("columns holds a name twice")
        return self


Scheme = Literal["identity_strict", "identity_public_kernel", "annotators", "column"]
BY_IDENTITY = ("identity_strict", "identity_public_kernel")


def _listed(given: Any) -> Any:
    return [given] if isinstance(given, str) else given


class SampleWeights(Section):
    """``[sample_weights]``: how much a row counts in the main task's loss, and in no other's.

    data.sample_weight (every task) and row_weight of a task (that one) multiply with it.
    """

    scheme: Annotated[list[Scheme], BeforeValidator(_listed)] = []  # or one; several: a product
    annotators: str | None = None  # "annotators": the column with the number of annotators
    column: str | None = None  # "column": a column of weights >= 0
    scale_to_mean_one: bool = (
        True  # divided by their mean, so that the task weighs as much as without
    )

    @model_validator(mode="after")
    def _columns_of_the_schemes(self) -> SampleWeights:
        if len(set(self.scheme)) != len(self.scheme):
            raise ValueError("scheme holds a name twice")
        for key in ("annotators", "column"):
            if (key in self.scheme) != (getattr(self, key) is not None):
                raise ValueError(
                    f'scheme = {key!r} and {key} = "<a column>" go together; one is missing'
                )
        return self
