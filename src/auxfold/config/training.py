"""``[train]`` and ``[selection]``: how a fold is trained, and which of its weights are kept."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from auxfold.config.section import PositiveInt, Section, Share


class Train(Section):
    """``[train]``: how one fold is trained."""

    epochs: PositiveInt = Field(2, description="Passes over the training rows of a fold.")
    batch_size: PositiveInt = Field(
        32, description="Rows per optimizer step, over all micro-batches and processes."
    )
    max_tokens_per_batch: PositiveInt | Literal["auto"] = Field(
        "auto",
        description="Tokens of one forward pass, padding included where there is some. It limits "
        "memory: a batch above it is split into micro-batches, with the same gradient. "
        '`"auto"`: 2048 on a CPU (8192 with a `metric_shaped` loss, whose forward pass runs twice '
        "where a batch is split), else as many as the free memory of the GPU suggests.",
    )
    batches: Literal["mixed", "homogeneous"] = Field(
        "mixed",
        description='With several sources: whether the rows of an optimizer step are of all of '
        'them (`"mixed"`) or of one (`"homogeneous"`).',
    )  # fmt: skip
    sampling: Literal["size", "sqrt", "uniform", "temperature"] = Field(
        "size",
        description="With several sources: how often the rows of each come in an epoch. In "
        "proportion to its size, to the square root of its size, equally often, or in proportion "
        "to size^(1/temperature) (Arivazhagan et al. 2019).",
    )
    temperature: Annotated[float, Field(ge=1.0)] = Field(
        2.0,
        description='The temperature of `sampling = "temperature"`: 1 is `"size"`, 2 is `"sqrt"`, '
        'and a large one is close to `"uniform"`.',
    )
    negative_sample_rate: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        1.0,
        description="The share of the rows whose labels are all zero that comes in an epoch; other "
        "ones come in the next epoch (Jigsaw 2019, 3rd place, with 0.5).",
    )
    learning_rate: Annotated[float, Field(gt=0.0)] = Field(
        2e-5, description="The highest learning rate of the backbone, or of the adapter in it."
    )
    head_learning_rate: Annotated[float, Field(gt=0.0)] | None = Field(
        None, description="The highest learning rate of the heads. Without it, `learning_rate`."
    )
    layerwise_lr_decay: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        1.0,
        description="The learning rate of a layer as a share of the rate of the layer above it "
        "(Howard and Ruder 2018). 1 means equal rates.",
    )
    weight_decay: Annotated[float, Field(ge=0.0)] = Field(
        0.01,
        description="The weight decay of AdamW (Loshchilov and Hutter 2019). Biases and layer "
        "norms are not decayed.",
    )
    warmup_ratio: Share = Field(
        0.05,
        description="The share of all optimizer steps in which the learning rate rises linearly "
        "from 0.",
    )
    schedule: Literal["linear", "cosine"] = Field(
        "linear", description="How the learning rate falls to 0 after the warm-up."
    )
    ema: Annotated[float, Field(gt=0.0, lt=1.0)] | None = Field(
        None,
        description="The decay per step of an exponential moving average of the weights, such as "
        "0.99, which is evaluated and kept instead of them (Polyak and Juditsky 1992). Without it, "
        "no average.",
    )
    max_grad_norm: Annotated[float, Field(ge=0.0)] = Field(
        1.0, description="The norm at which the gradient is clipped. 0 means no clipping."
    )
    precision: Literal["auto", "bf16", "fp16", "fp32"] = Field(
        "auto",
        description="The number format of mixed-precision training. `\"auto\"` is bf16 where the "
        "processor has it in hardware, else fp16 on CUDA, else fp32.",
    )  # fmt: skip
    gradient_checkpointing: bool = Field(
        False,
        description="Keeps only the input of each layer for the backward pass, which computes the "
        "rest again (Chen et al. 2016). A step takes about a third longer and far less memory, and "
        "its gradients are the same. It needs padded batches.",
    )
    optimizer: Literal["adamw", "adamw_8bit", "paged_adamw_8bit"] = Field(
        "adamw",
        description='AdamW with moments in fp32, or in 8 bits by bitsandbytes (`"adamw_8bit"`; '
        'Dettmers et al. 2022), which takes a quarter of their memory. `"paged_adamw_8bit"` moves '
        "them to the memory of the host while a GPU has none left.",
    )
    cuda_graphs: Literal["auto", "off"] = Field(
        "auto",
        description='Whether optimizer steps are captured in CUDA graphs (`"auto"`: on one GPU, '
        'where the backbone can run without padding), which are launched at once. `"off"` '
        "launches operation by operation.",
    )
    compile: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Whether the operations between the matrix products of a GPU's padding-free "
        'forward are compiled by `torch.compile`. `"auto"`: in fp32, where the training is long '
        "enough to pay for the compilation; half precision has kernels of its own.",
    )
    length_bucket_steps: PositiveInt = Field(
        50,
        description="Optimizer steps whose shuffled rows are sorted by length together, so that a "
        "batch has little padding. The larger it is, the less padding and the less random batches.",
    )
    evaluations_per_epoch: PositiveInt = Field(
        1, description="Evaluations of the validation rows per epoch, evenly spaced."
    )
    checkpoint_minutes: Annotated[float, Field(gt=0.0)] = Field(
        10.0,
        description="Minutes between two saved states to resume from, which is the most work that "
        "a crash can cost.",
    )
    init_head_bias: bool = Field(
        True,
        description="Starts every head at what predicts the labels' averages: the logit of the "
        "rate, the log frequencies of classes, or the mean.",
    )


class Selection(Section):
    """``[selection]``: which checkpoint of a fold is kept."""

    READ_BY: ClassVar = {"keep": {"best": (), "last": (), "average": ("checkpoints",)}}

    metric: str | None = Field(
        None,
        description="The metric, `<task>/<metric>`, that decides which checkpoint is the best and "
        "when to stop early. Without it, the main task's first metric.",
    )
    early_stopping: Annotated[int, Field(ge=0)] = Field(
        0,
        description="Evaluations without improvement after which training stops. 0 means never.",
    )
    keep: Literal["best", "last", "average"] = Field(
        "best",
        description='Which weights of a fold are kept. `"best"`: those of the best evaluation. '
        '`"last"`: those of the last one, so that no checkpoint is chosen on the rows that score '
        'it. `"average"`: the mean of the weights at the last evaluations (Izmailov et al. 2018).',
    )
    checkpoints: Annotated[int, Field(ge=2)] = Field(
        3, description='The number of evaluations whose weights `keep = "average"` averages.'
    )
