"""``[inference]`` and ``[tracking]``: what becomes of the folds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from auxfold.config.section import PositiveInt, Section


class Inference(Section):
    """``[inference]``: how fold models become one prediction."""

    # "rank" depends on the rows predicted together; see docs/RECIPES.md, one model from several.
    average: Literal["probability", "logit", "rank", "power"] = "probability"
    power: Annotated[float, Field(gt=0.0)] = 3.5  # average = "power": the exponent
    max_tokens_per_batch: PositiveInt = 16384


class Tracking(Section):
    """``[tracking]``: Weights & Biases."""

    wandb: Literal["auto", "online", "offline", "off"] = "auto"
    project: str | None = None  # empty: the folder of the (first) training file
    log_every: PositiveInt = 20  # optimizer steps per point of the training curves
    show_per_group_metrics: bool = True  # several multiclass tasks: false shows their means alone
    upload_model: bool = False  # the fold's model as an artifact; the OOF and folds files always
