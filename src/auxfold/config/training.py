"""``[train]``, ``[task_weighting]`` and ``[selection]``: how a fold is trained, and what is kept of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from auxfold.config.section import PositiveInt, Section, Share, refuse_unread


class Train(Section):
    """``[train]``: how one fold is trained."""

    epochs: PositiveInt = 2
    batch_size: PositiveInt = 32  # rows per optimizer step, over all processes
    max_tokens_per_batch: PositiveInt = 8192  # padded tokens of one forward pass
    batches: Literal["mixed", "homogeneous"] = (
        "mixed"  # "homogeneous": a step's rows are of one source
    )
    sampling: Literal["size", "sqrt", "uniform", "temperature"] = "size"  # of sources, per epoch
    temperature: Annotated[float, Field(ge=1.0)] = 2.0  # shares ~ size ** (1 / temperature)
    # Of the rows whose labels are all zero: the share in an epoch, other rows in the next one.
    negative_sample_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    learning_rate: Annotated[float, Field(gt=0.0)] = 2e-5
    head_learning_rate: Annotated[float, Field(gt=0.0)] | None = None  # empty: learning_rate
    layerwise_lr_decay: Annotated[float, Field(gt=0.0, le=1.0)] = (
        1.0  # of the rate, layer by layer down
    )
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.01
    warmup_ratio: Share = 0.05  # share of all steps
    schedule: Literal["linear", "cosine"] = "linear"
    ema: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None  # decay of averaged weights, 0.99
    max_grad_norm: Annotated[float, Field(ge=0.0)] = 1.0  # 0: no clipping
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    length_bucket_steps: PositiveInt = (
        50  # optimizer steps' worth of shuffled rows that are sorted by length
    )
    evaluations_per_epoch: PositiveInt = 1
    checkpoint_minutes: Annotated[float, Field(gt=0.0)] = 10.0  # how much work a crash can cost
    init_head_bias: bool = True  # start each head's bias at the logit of the label's rate


# Which keys of [task_weighting] a method reads, beside log_every.
_BALANCE_KEYS = {
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


class TaskWeightingSettings(Section):
    """``[task_weighting]``: how the tasks' weights adapt in training (docs/RECIPES.md)."""

    method: Literal[
        "fixed", "uncertainty", "dwa", "gradnorm", "famo",
        "main_first", "pcgrad", "cagrad", "upgrad",
    ] = "fixed"  # fmt: skip
    log_every: PositiveInt = 20  # optimizer steps between two looks at the tasks' gradients
    ema_decay: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9  # decay of running means over steps
    temperature: Annotated[float, Field(gt=0.0)] = 2.0  # dwa: larger is closer to equal weights
    alpha: Annotated[float, Field(ge=0.0)] = 1.5  # gradnorm: how strongly slow tasks are helped
    c: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.5  # cagrad: how far from the mean gradient
    # Of the weights themselves; empty: 0.025, for uncertainty the heads' rate.
    learning_rate: Annotated[float, Field(gt=0.0)] | None = None

    @property
    def rate(self) -> float:
        """The learning rate of gradnorm's and famo's weights."""
        return 0.025 if self.learning_rate is None else self.learning_rate

    @model_validator(mode="after")
    def _keys_of_the_method(self) -> TaskWeightingSettings:
        refuse_unread(self, "method", _BALANCE_KEYS)
        return self


class Selection(Section):
    """``[selection]``: which checkpoint of a fold is kept."""

    metric: str | None = None  # "<task>/<metric>"; empty: the main task's first metric
    early_stopping: Annotated[int, Field(ge=0)] = 0  # evaluations without improvement; 0: off
    # "last": no fold's checkpoint is chosen on its rows; "average": the mean of the weights at the
    # last evaluations (Izmailov 2018).
    keep: Literal["best", "last", "average"] = "best"
    checkpoints: Annotated[int, Field(ge=2)] = 3  # keep = "average": of how many evaluations

    @model_validator(mode="after")
    def _checkpoints_of_an_average(self) -> Selection:
        default = type(self).model_fields["checkpoints"].default
        if self.keep != "average" and self.checkpoints != default:
            raise ValueError(f"checkpoints is read by keep = 'average', not by {self.keep!r}")
        return self
