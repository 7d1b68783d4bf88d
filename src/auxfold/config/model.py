"""``[model]`` and ``[model.adapter]``: the backbone and what is trained in it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from auxfold.config.section import PositiveInt, Section, Share


class LoraAdapter(Section):
    """LoRA (Hu 2021) or DoRA (Liu 2024): low-rank changes of the backbone's linear layers."""

    kind: Literal["lora", "dora"]
    rank: PositiveInt = 8
    alpha: Annotated[float, Field(gt=0.0)] = 16.0  # the change is scaled by alpha / rank
    dropout: Share = 0.0  # before the low-rank layers
    target_modules: list[str] | None = None  # ends of layer names; empty: query and value


class Ia3Adapter(Section):
    """IA3 (Liu 2022): one learned factor per key, value and feed-forward unit."""

    kind: Literal["ia3"]
    target_modules: list[str] | None = None  # empty: key, value and the feed-forward's output


class PrefixAdapter(Section):
    """Prefix tuning (Li and Liang 2021): learned keys and values in front of every layer's own."""

    kind: Literal["prefix"]
    prefix_length: PositiveInt = 20


class BottleneckAdapter(Section):
    """Small residual networks in every layer: after the feed-forward, or after attention too."""

    kind: Literal["pfeiffer", "houlsby"]  # Pfeiffer 2020: one a layer; Houlsby 2019: two
    reduction_factor: PositiveInt = 16  # hidden size / width of the bottleneck
    activation: Literal["relu", "swish", "gelu", "tanh"] | None = None  # relu; Houlsby swish
    dropout: Share = 0.0  # of the adapter's output


AnyAdapter = Annotated[
    LoraAdapter | Ia3Adapter | PrefixAdapter | BottleneckAdapter, Field(discriminator="kind")
]


class Model(Section):
    """``[model]``: the backbone and how its hidden states become one vector per row."""

    backbone: str = "embedded"  # hub name, local folder, or "embedded" (all-MiniLM-L6-v2)
    max_length: Annotated[int, Field(ge=4)] = 220  # tokens, special tokens included
    truncation: Literal["head", "head_tail"] = "head"
    head_fraction: Share = 0.6  # share of the tokens kept from the start under "head_tail"
    pooling: Literal["mean", "cls", "attention", "pooler"] = "mean"  # "pooler": the backbone's own
    hidden_dropout: Share | None = None  # empty: as the backbone was published
    attention_dropout: Share | None = None
    head_dropout: Share = 0.1
    multisample_dropout: PositiveInt = 1  # dropout masks per row before the heads, logits averaged
    symmetric_pairs: bool = False  # pairs: trained in random order, predicted in both
    attention: Literal["auto", "eager", "sdpa"] = "auto"  # auto: the faster one for the device
    trust_remote_code: bool = False
    adapter: AnyAdapter | None = None  # [model.adapter]: train it and the heads alone
