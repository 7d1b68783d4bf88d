"""Add adapters to a frozen backbone, store what they train, and merge them."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import TypeAdapter
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from auxfold.config import AnyAdapter, BottleneckAdapter, Ia3Adapter, LoraAdapter, PrefixAdapter
from auxfold.errors import InputError
from auxfold.model.adapters.bottleneck import add_bottlenecks
from auxfold.model.adapters.prefix import add_prefix

# The linear layers that LoRA and IA3 change, by the ends of their names: the defaults of peft where
# it has any, else the corresponding layers. The input of IA3's last one is the activation of the
# feed-forward.
_BERT_LORA, _BERT_IA3 = ["query", "value"], ["key", "value", "output.dense"]
_BERT_LAYOUT = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
_LORA = {
    **dict.fromkeys(_BERT_LAYOUT, _BERT_LORA),
    "deberta": ["in_proj"],
    "deberta-v2": ["query_proj", "value_proj"],
    "albert": ["query", "value"],
    "mpnet": ["attn.q", "attn.v"],
    "modernbert": ["Wqkv"],
    "distilbert": ["q_lin", "v_lin"],
}
_IA3 = {
    **dict.fromkeys(_BERT_LAYOUT, _BERT_IA3),
    "deberta": ["in_proj", "output.dense"],
    "deberta-v2": ["key_proj", "value_proj", "output.dense"],
    "albert": ["key", "value", "ffn_output"],
    "mpnet": ["attn.k", "attn.v", "output.dense"],
    "modernbert": ["Wqkv", "mlp.Wo"],
    "distilbert": ["k_lin", "v_lin", "ffn.lin2"],
}
_FEED_FORWARD = ("output.dense", "ffn_output", "mlp.Wo", "ffn.lin2")


def parse_adapter_settings(settings: dict[str, Any]) -> AnyAdapter:
    """The settings of an adapter, as stored in a model's configuration, as a typed object."""
    return TypeAdapter(AnyAdapter).validate_python(settings)


def add_adapter(backbone: PreTrainedModel, settings: AnyAdapter) -> None:
    """Freeze a backbone and add a trainable adapter to it, in place.

    The names of the backbone's other modules do not change. LoRA and IA3 come from peft, which
    moves a changed layer to ``<its name>.base_layer``.

    Raises:
        InputError: the layers that this kind of adapter changes are not known for the architecture.
    """
    backbone.requires_grad_(False)
    if isinstance(settings, BottleneckAdapter):
        add_bottlenecks(backbone, settings)
    elif isinstance(settings, PrefixAdapter):
        add_prefix(backbone, settings)
    else:
        _inject_peft(backbone, settings)
    if getattr(backbone, "pooler", None) is not None:
        # A pooler that is used is part of the head: in checkpoints it is random, or trained for
        # something else.
        backbone.pooler.requires_grad_(True)


def _inject_peft(backbone: PreTrainedModel, settings: LoraAdapter | Ia3Adapter) -> None:
    # Not at the top: only models with an adapter of peft that is not merged need peft.
    try:
        import peft
    except ImportError:
        raise InputError(
            f"model.adapter.kind = {settings.kind!r} needs the package peft; run: pip install peft"
        ) from None
    targets = settings.target_modules or _default_targets(backbone, settings)
    config: peft.PeftConfig
    if isinstance(settings, LoraAdapter):
        config = peft.LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,  # type: ignore[arg-type]  # peft only divides it by r
            lora_dropout=settings.dropout,
            use_dora=settings.kind == "dora",
            use_rslora=settings.use_rslora,
            target_modules=targets,
        )
    else:
        feed_forward = [name for name in targets if name in _FEED_FORWARD]
        config = peft.IA3Config(target_modules=targets, feedforward_modules=feed_forward)
    try:
        peft.inject_adapter_in_model(config, backbone)
    except ValueError as error:
        raise InputError(f"model.adapter.target_modules = {targets}: {error}") from None
    for parameter in backbone.parameters():
        if parameter.requires_grad:  # peft takes the format of the frozen weight
            parameter.data = parameter.data.float()


def linear_layers(backbone: PreTrainedModel) -> list[str]:
    """The names of all linear layers, without what is before the last dot.

    All of them are what LoRA changes in a language model (Dettmers et al. 2023, QLoRA, section 4).
    """
    return sorted(
        {
            name.rpartition(".")[2]
            for name, module in backbone.named_modules()
            if isinstance(module, nn.Linear | Conv1D)
        }
    )


def _default_targets(backbone: PreTrainedModel, settings: LoraAdapter | Ia3Adapter) -> list[str]:
    architecture = backbone.config.model_type
    targets = _LORA if isinstance(settings, LoraAdapter) else _IA3
    if architecture not in targets:
        raise InputError(
            f"model.adapter.kind = {settings.kind!r}: which layers of a {architecture!r} backbone "
            f"should it change? Give model.adapter.target_modules, ends of their names"
        )
    return targets[architecture]


def merge_adapter(backbone: PreTrainedModel) -> bool:
    """Merge LoRA, DoRA or IA3 into the weights that they change, and remove them, in place.

    Returns:
        Whether the adapter was merged. Bottlenecks and prefixes do not change weights: they remain.
    """
    layers: list[tuple[str, Any]] = [
        (name, module) for name, module in backbone.named_modules() if hasattr(module, "base_layer")
    ]
    for name, layer in layers:
        layer.merge()
        parent, _, child = name.rpartition(".")
        setattr(backbone.get_submodule(parent), child, layer.get_base_layer())
    if layers:
        del backbone.peft_config
    return bool(layers)


def trainable_state_dict(model: nn.Module) -> dict[str, torch.Tensor]:
    """The ``state_dict`` of a model without its frozen weights."""
    stored = _stored_names(model)
    return {name: values for name, values in model.state_dict().items() if name in stored}


def load_trainable_state_dict(model: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Load a :func:`trainable_state_dict`; frozen weights do not change.

    Raises:
        RuntimeError: a name is missing or unknown, or a shape differs.
    """
    missing, unknown = model.load_state_dict(state, strict=False)
    missing = sorted(_stored_names(model).intersection(missing))
    if missing or unknown:
        raise RuntimeError(f"missing are {missing}, unknown are {unknown}")


def _stored_names(model: nn.Module) -> set[str]:
    """The names of trained parameters and of buffers.

    Everything else is frozen: parameters, and what belongs to quantized ones.
    """
    trained = {n for n, p in model.named_parameters(remove_duplicate=False) if p.requires_grad}
    return trained.union(name for name, _ in model.named_buffers(remove_duplicate=False))
