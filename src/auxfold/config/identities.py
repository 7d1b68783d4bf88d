"""``[identities]``: the columns by which unintended bias is measured."""

from __future__ import annotations

from pydantic import Field, model_validator

from auxfold.config.section import Section

BIAS = "jigsaw_bias"  # the metric's name, in front of "/score" and its parts
BIAS_FAMILIES = ("subgroup", "bpsn", "bnsp")


class Identities(Section):
    """``[identities]``: the columns by which the main task's bias is measured.

    Values are in [0, 1], the share of annotators who saw the identity mentioned. An empty cell is
    "not annotated". Such a column may also be a task's label column.
    """

    columns: list[str] = Field(
        [],
        description="The identity columns for the bias metrics `jigsaw_bias/...` of the main task "
        "(Borkan et al. 2019; Jigsaw 2019), with values in [0, 1] and empty cells where nobody "
        "annotated. An empty list means no bias metrics.",
    )

    @property
    def metrics(self) -> list[str]:
        """The names of the metrics that can be measured and selected by."""
        parts = ["score", "overall", *BIAS_FAMILIES]
        parts += [f"{family}/{column}" for family in BIAS_FAMILIES for column in self.columns]
        return [f"{BIAS}/{part}" for part in parts] if self.columns else []

    @model_validator(mode="after")
    def _distinct_columns(self) -> Identities:
        if len(set(self.columns)) != len(self.columns):
            raise ValueError("columns holds a name twice")
        return self
