"""``[sample_weights]``: how much a row counts in the main task's loss."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from auxfold.config.section import Section

Scheme = Literal["identity_strict", "identity_public_kernel", "annotators", "column"]
BY_IDENTITY = ("identity_strict", "identity_public_kernel")


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_SCHEME_SCHEMA = {
    "anyOf": [
        {"type": "string", "enum": list(get_args(Scheme))},
        {"type": "array", "items": {"type": "string", "enum": list(get_args(Scheme))}},
    ]
}


class SampleWeights(Section):
    """``[sample_weights]``: how much a row counts in the main task's loss, and in no other's.

    ``data.sample_weight`` (every task) and ``row_weight`` of a task (that one) multiply with it.
    """

    scheme: Annotated[
        list[Scheme], BeforeValidator(_as_list), WithJsonSchema(_SCHEME_SCHEMA)
    ] = Field(
        [],
        description="How the weight of a row in the main task's loss follows from its identities "
        'and columns; several schemes are multiplied. `"identity_strict"`: a quarter for every '
        "part of the bias metric that the row is in (Jigsaw 2019, 2nd place). "
        '`"identity_public_kernel"`: the same with the background of the public kernel (3rd and '
        '7th places). `"annotators"`: log(annotators + 2) (3rd place). `"column"`: the numbers of '
        "a column.",
    )  # fmt: skip
    annotators: str | None = Field(
        None,
        description='The column with the number of annotators of a row; `scheme = "annotators"` '
        "needs it. An empty count weighs as much as the mean of the others among the rows to train "
        "on.",
    )
    column: str | None = Field(
        None, description='The column with weights >= 0; `scheme = "column"` needs it.'
    )
    scale_to_mean_one: bool = Field(
        True,
        description="Divides the weights by their mean over the rows to train on that have a main "
        "label, so that the main task keeps its share next to the auxiliary ones.",
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
