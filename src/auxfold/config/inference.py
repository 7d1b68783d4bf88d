"""``[inference]``: how fold models become one prediction."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from auxfold.config.section import PositiveInt, Section


class Inference(Section):
    """``[inference]``: how fold models become one prediction."""

    average: Literal["probability", "logit", "rank", "power", "soup"] = Field(
        "probability",
        description='How the predictions of the folds are averaged. `"probability"`: their mean. '
        '`"logit"`: the mean of logits. `"rank"`: the mean of ranks among the rows that are '
        'predicted together, for metrics of order such as AUC. `"power"`: the mean of p^power, to '
        'the power 1/power (Jigsaw 2019, 2nd place). `"soup"`: instead of predictions the weights '
        "of the folds are averaged, and one model predicts (Wortsman et al. 2022).",
    )
    power: Annotated[float, Field(gt=0.0)] = Field(
        3.5,
        description='The exponent of `average = "power"`. The larger it is, the more the most '
        "confident folds count.",
    )
    max_tokens_per_batch: PositiveInt | Literal["auto"] = Field(
        "auto",
        description="Tokens of one forward pass at inference, padding included. It limits memory "
        'and does not change predictions. `"auto"`: on a GPU as many as take a third of its free '
        "memory, at most 32,768, and on a CPU 1024.",
    )
    submission: Literal["auto", "probabilities", "decisions"] = Field(
        "auto",
        description='What the binary columns of a submission hold. `"decisions"`: 1 or 0, by the '
        'tuned thresholds, or by 0.5 where none are stored. `"auto"`: decisions where every cell '
        "of the sample submission is the integer 0 or 1, but probabilities where all of its cells "
        "are equal and `selection.metric` names a metric of probabilities or ranks.",
    )
