"""Adapters: the backbone stays as published, a few parameters in it learn beside the heads."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import TypeAdapter
from torch import nn
from transformers import PreTrainedModel

from auxfold.config import AnyAdapter, BottleneckAdapter, Ia3Adapter, LoraAdapter, PrefixAdapter
from auxfold.errors import InputError
from auxfold.model.adapters.bottleneck import add_bottlenecks
from auxfold.model.adapters.prefix import add_prefix

# The linear layers that LoRA and IA3 change, by ends of their names: peft's own choice where it has
# one, and its like where it has none. The last of IA3's is fed by the feed-forward's activation.
_BERT_LORA, _BERT_IA3 = ["query", "value"], ["key", "value", "output.dense"]
_LIKE_BERT = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
_LORA = {
    **dict.fromkeys(_LIKE_BERT, _BERT_LORA),
    "deberta": ["in_proj"],
    "deberta-v2": ["query_proj", "value_proj"],
    "albert": ["query", "value"],
    "mpnet": ["attn.q", "attn.v"],
    "modernbert": ["Wqkv"],
    "distilbert": ["q_lin", "v_lin"],
}
_IA3 = {
    **dict.fromkeys(_LIKE_BERT, _BERT_IA3),
    "deberta": ["in_proj", "output.dense"],
    "deberta-v2": ["key_proj", "value_proj", "output.dense"],
    "albert": ["key", "value", "ffn_output"],
    "mpnet": ["attn.k", "attn.v", "output.dense"],
    "modernbert": ["Wqkv", "mlp.Wo"],
    "distilbert": ["k_lin", "v_lin", "ffn.lin2"],
}
_FEED_FORWARD = ("output.dense", "ffn_output", "mlp.Wo", "ffn.lin2")


def adapter_settings(told: dict[str, Any]) -> AnyAdapter:
    """The typed settings of an adapter from a model's configuration."""
    return TypeAdapter(AnyAdapter).validate_python(told)


def add_adapter(backbone: PreTrainedModel, settings: AnyAdapter) -> None:
    """Freeze a backbone and put an adapter, which learns, into it.

    The names of the backbone's other modules stay as they are; LoRA and IA3 come from peft, which
    keeps a changed layer as ``<its name>.base_layer``.

    Raises:
        InputError: the architecture has no known place for this kind of adapter.
    """
    backbone.requires_grad_(False)
    if isinstance(settings, BottleneckAdapter):
        add_bottlenecks(backbone, settings)
    elif isinstance(settings, PrefixAdapter):
        add_prefix(backbone, settings)
    else:
        _inject(backbone, settings)
    if getattr(backbone, "pooler", None) is not None:
        # Where it is used it is part of the head: checkpoints leave it random or trained for
        # something else.
        backbone.pooler.requires_grad_(True)


def _inject(backbone: PreTrainedModel, settings: LoraAdapter | Ia3Adapter) -> None:
    # Not at the top: only models that still have such an adapter in them need peft.
    try:
        import peft
    except ImportError:
        raise InputError(
            f"model.adapter.kind = {settings.kind!r} needs the package peft; run: pip install peft"
        ) from None
    targets = settings.target_modules or _default_targets(backbone, settings)
    if isinstance(settings, LoraAdapter):
        config = peft.LoraConfig(
            r=settings.rank, lora_alpha=settings.alpha, lora_dropout=settings.dropout,
            use_dora=settings.kind == "dora", target_modules=targets,
        )  # fmt: skip
    else:
        feed_forward = [name for name in targets if name in _FEED_FORWARD]
        config = peft.IA3Config(target_modules=targets, feedforward_modules=feed_forward)
    try:
        peft.inject_adapter_in_model(config, backbone)
    except ValueError as error:
        raise InputError(f"model.adapter.target_modules = {targets}: {error}") from None


def _default_targets(backbone: PreTrainedModel, settings: LoraAdapter | Ia3Adapter) -> list[str]:
    architecture = backbone.config.model_type
    known = _LORA if isinstance(settings, LoraAdapter) else _IA3
    if architecture not in known:
        raise InputError(
            f"model.adapter.kind = {settings.kind!r}: which layers of a {architecture!r} backbone "
            f"should it change? Give model.adapter.target_modules, ends of their names"
        )
    return known[architecture]


def merge_adapter(backbone: PreTrainedModel) -> bool:
    """Work LoRA, DoRA or IA3 into the weights that they change, and take them out.

    Returns:
        Whether the adapter is gone; a bottleneck or a prefix is no change of weights, and stays.
    """
    changed = [(n, m) for n, m in backbone.named_modules() if hasattr(m, "base_layer")]
    for name, layer in changed:
        layer.merge()
        parent, _, child = name.rpartition(".")
        setattr(backbone.get_submodule(parent), child, layer.get_base_layer())
    if changed:
        del backbone.peft_config
    return bool(changed)


def trained_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """The state of a model without its frozen parameters."""
    frozen = _frozen(model)
    return {name: values for name, values in model.state_dict().items() if name not in frozen}


def load_trained_state(model: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Load what :func:`trained_state` gave; frozen parameters stay as they are.

    Raises:
        RuntimeError: a name is missing or unknown, or a shape differs.
    """
    frozen = _frozen(model)
    kept = {name: values for name, values in model.state_dict().items() if name in frozen}
    model.load_state_dict({**kept, **state})


def _frozen(model: nn.Module) -> set[str]:
    return {name for name, p in model.named_parameters() if not p.requires_grad}
