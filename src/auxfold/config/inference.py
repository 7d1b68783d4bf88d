"""``[inference]``: how fold models become one prediction."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from auxfold.config.section import PositiveInt, Section


class Inference(Section):
    """``[inference]``: how fold models become one prediction."""

    average: Literal["probability", "logit", "rank", "power"] = Field(
        "probability",
        description='How the predictions of the folds are averaged. `"probability"`: their mean. '
        '`"logit"`: the mean of logits. `"rank"`: the mean of ranks among the rows that are '
        'predicted together, for metrics of order such as AUC. `"power"`: the mean of p^power, to '
        "the power 1/power (Jigsaw 2019, 2nd place).",
    )
    power: Annotated[float, Field(gt=0.0)] = Field(
        3.5,
        description='The exponent of `average = "power"`. The larger it is, the more the most '
        "confident folds count.",
    )
    max_tokens_per_batch: PositiveInt = Field(
        16384,
        description="Tokens of one forward pass at inference, padding included. It limits memory "
        "and does not change predictions.",
    )
