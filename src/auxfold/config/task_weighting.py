"""``[task_weighting]``: how the tasks' weights adapt in training."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from auxfold.config.section import PositiveInt, Section


class TaskWeightingSettings(Section):
    """``[task_weighting]``: how the tasks' weights adapt in training."""

    READ_BY: ClassVar = {
        "method": {
            "fixed": (),
            "uncertainty": ("learning_rate",),
            "dwa": ("temperature",),
            "gradnorm": ("ema_decay", "alpha", "learning_rate"),
            "famo": ("ema_decay", "learning_rate"),
            "main_first": ("ema_decay",),
            "pcgrad": ("ema_decay",),
            "cagrad": ("ema_decay", "c"),
            "upgrad": ("ema_decay",),
        }
    }

    method: Literal[
        "fixed", "uncertainty", "dwa", "gradnorm", "famo",
        "main_first", "pcgrad", "cagrad", "upgrad",
    ] = Field(
        "fixed",
        description="The method that adapts the factors by which the tasks' weighted losses are "
        "multiplied. On the loss: `uncertainty` (Kendall, Gal and Cipolla 2018), `dwa` (Liu, Johns "
        "and Davison 2019), `gradnorm` (Chen et al. 2018), `famo` (Liu et al. 2023). On the "
        "gradients that reach the backbone: `main_first` (Du et al. 2018), `pcgrad` (Yu et al. "
        "2020), `cagrad` (Liu et al. 2021), `upgrad` (Quinton and Rey 2024).",
    )  # fmt: skip
    log_every: PositiveInt = Field(
        20,
        description="Optimizer steps between two measurements of the tasks' gradient norms and "
        "cosines for the log. It does not change the training.",
    )
    ema_decay: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        0.9,
        description="The decay per step of the running means of losses and gradients: 0.9 averages "
        "over about ten steps.",
    )
    temperature: Annotated[float, Field(gt=0.0)] = Field(
        2.0,
        description="The temperature of the softmax of `dwa`. The larger it is, the more equal the "
        "factors are.",
    )
    alpha: Annotated[float, Field(ge=0.0)] = Field(
        1.5, description="How strongly `gradnorm` helps tasks whose loss falls slowly."
    )
    c: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        0.5,
        description="How far the direction of `cagrad` may be from the mean gradient, as a share "
        "of its norm.",
    )
    learning_rate: Annotated[float, Field(gt=0.0)] | None = Field(
        None,
        description="The learning rate of the factors. Without it, 0.025; for `uncertainty`, the "
        "learning rate of the heads.",
    )

    @property
    def rate(self) -> float:
        """The learning rate of gradnorm's and famo's weights."""
        return 0.025 if self.learning_rate is None else self.learning_rate
