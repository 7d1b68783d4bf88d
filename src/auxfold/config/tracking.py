"""``[tracking]``: Weights & Biases."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from auxfold.config.section import PositiveInt, Section


class Tracking(Section):
    """``[tracking]``: Weights & Biases."""

    wandb: Literal["auto", "online", "offline", "off"] = Field(
        "auto",
        description='Whether runs are logged to Weights & Biases. `"auto"` follows the environment '
        "variable `WANDB_MODE`; without it, runs are online where you are logged in, else offline.",
    )
    project: str | None = Field(
        None,
        description="The W&B project. Without it, the name of the folder with the (first) training "
        "file.",
    )
    log_every: PositiveInt = Field(
        20, description="Optimizer steps between two points of the training curves."
    )
    show_per_group_metrics: bool = Field(
        True,
        description="With several multiclass tasks: whether the metrics of every task are shown, "
        "or only their means (`false`).",
    )
    upload_model: bool = Field(
        False,
        description="Uploads every fold's model as an artifact. Out-of-fold predictions and the "
        "folds file are always uploaded.",
    )
    texts: bool = Field(
        False,
        description="Uploads what shows texts of the data, too: the report and the texts of the "
        "worst errors. Otherwise no text leaves the machine.",
    )
