"""Load backbones by hub name, local folder, or ``embedded``, and build models."""

from __future__ import annotations

from typing import Any

import transformers
from torch import nn
from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedModel

from auxfold.config import LoraAdapter
from auxfold.config import Model as ModelSettings
from auxfold.config.experiment import Experiment
from auxfold.errors import InputError
from auxfold.model.adapters.injection import linear_layers
from auxfold.model.causality import choose_direction, choose_pooling
from auxfold.model.config import MultiTaskConfig
from auxfold.model.dropout import BitDropout
from auxfold.model.hub import load_pretrained
from auxfold.model.multitask import MultiTaskModel
from auxfold.model.number_formats import NumberFormats
from auxfold.model.quantization import n_values
from auxfold.model.reference import make_reference
from auxfold.model.text_backbone import TextBackbone, find_text_config


def build_model(
    experiment: Experiment, heads: dict[str, int], device_type: str = "cpu"
) -> MultiTaskModel:
    """Build a model: pretrained backbone, new heads in fp32, and the adapter if there is one.

    Args:
        experiment: its ``[model]`` section, its main task and ``train.gradient_checkpointing`` are
            used.
        heads: task name to head width.
        device_type: the device for which ``model.attention = "auto"`` chooses the attention.

    Raises:
        InputError: a task name that torch uses, or a backbone that is missing, unknown to
            transformers, an encoder with a decoder, too short for ``model.max_length``, or one that
            ``model.pooling``, ``model.causal``, ``model.dtype`` or ``train.gradient_checkpointing``
            does not fit; or bitsandbytes is needed and missing.
    """
    settings = experiment.model
    for task in heads:
        if hasattr(nn.ModuleDict(), task):
            raise InputError(f"a task cannot be called {task!r} (torch uses the name); rename it")
    backbone = _load_backbone(settings, device_type)
    causal = choose_direction(backbone, settings.causal)
    if causal:
        backbone.config.use_cache = False  # keys and values are kept for generating text only
    pooling = choose_pooling(settings.pooling, causal)
    adapter: dict[str, Any] = {}
    if settings.adapter is not None:
        adapter["adapter"] = settings.adapter.model_dump(mode="json", exclude_none=True)
        if causal and isinstance(settings.adapter, LoraAdapter):
            adapter["adapter"].setdefault("target_modules", linear_layers(backbone))
        formats = NumberFormats.from_settings(settings)
        adapter["reference"] = make_reference(settings.backbone, formats)
    model = MultiTaskModel(
        MultiTaskConfig(
            backbone=backbone.config.to_dict(),
            heads=heads,
            ordinal=[task.name for task in experiment.tasks if task.kind == "ordinal"],
            main_task=experiment.main_task.name,
            pooling=pooling,
            head_dropout=settings.head_dropout,
            multisample_dropout=settings.multisample_dropout,
            **adapter,
        ),
        backbone=backbone,
    )
    if experiment.train.gradient_checkpointing:
        _enable_gradient_checkpointing(model)
    return model


def _load_backbone(settings: ModelSettings, device_type: str) -> PreTrainedModel:
    config = load_pretrained(AutoConfig, settings)
    text_config = find_text_config(config)
    if text_config.model_type not in CONFIG_MAPPING:
        raise InputError(
            f"model.backbone = {settings.backbone!r} is of the model type {config.model_type!r}, "
            f"which transformers {transformers.__version__} does not know: "
            f"a trained fold could not be loaded again"
        )
    if getattr(config, "quantization_config", None) is not None:
        raise InputError(
            f"model.backbone = {settings.backbone!r} was published quantized; give the backbone "
            f"that it was made from, and model.quantization = 'nf4' or 'int8'"
        )
    _set_dropout(text_config, "hidden", settings.hidden_dropout)
    _set_dropout(text_config, "attention", settings.attention_dropout)
    formats = NumberFormats.from_settings(settings)
    backbone = load_pretrained(
        TextBackbone,
        settings,
        config=config,
        attn_implementation=choose_attention(settings.attention, device_type),
        **formats.loading_options(),
    )
    if config.is_encoder_decoder or not hasattr(backbone.config, "hidden_size"):
        raise InputError(
            f"model.backbone = {settings.backbone!r} is neither an encoder nor a decoder by itself"
        )
    formats.apply(backbone)
    _check_length(backbone, settings)
    return backbone


def _enable_gradient_checkpointing(model: MultiTaskModel) -> None:
    """Keep only the input of each layer for the backward pass, which computes the rest again."""
    backbone = model.backbone
    if not model.supports_gradient_checkpointing:
        raise InputError(
            f"train.gradient_checkpointing: {backbone.config.model_type!r} does not support it"
            + (" with a prefix" if hasattr(backbone, "prefix") else "")
            + "; remove the key"
        )
    # Transformers 5.20 and later call it activation checkpointing.
    enable = getattr(backbone, "activation_checkpointing_enable", None)
    (enable or backbone.gradient_checkpointing_enable)(
        {"use_reentrant": False, "context_fn": BitDropout.recomputation_contexts}
    )


# How architectures call their table of positions: BERT and most others, GPT-2, OPT and BART.
_POSITION_TABLES = ("position_embeddings", "wpe", "embed_positions")


def _check_length(backbone: PreTrainedModel, settings: ModelSettings) -> None:
    """Refuse more tokens than a backbone with absolute positions has positions for."""
    for name, module in backbone.named_modules():
        if name.endswith(_POSITION_TABLES) and isinstance(module, nn.Embedding):
            # RoBERTa and similar models start to count positions after the padding index.
            start = 0 if module.padding_idx is None else module.padding_idx + 1
            start += getattr(module, "offset", 0)  # OPT
            n_positions = module.num_embeddings - start
            if settings.max_length > n_positions:
                raise InputError(
                    f"model.max_length = {settings.max_length}, but {settings.backbone!r} has "
                    f"positions for {n_positions} tokens"
                )


def choose_attention(setting: str, device_type: str) -> str | None:
    """The attention implementation; None: the backbone's default.

    ``auto`` is eager on a CPU, where it trains faster (measured), and else the default.
    """
    if setting != "auto":
        return setting
    return "eager" if device_type == "cpu" else None


# The names of these dropouts in the configurations of the architectures.
_DROPOUTS = {
    "hidden": ("hidden_dropout_prob", "hidden_dropout", "mlp_dropout", "dropout"),
    "attention": ("attention_probs_dropout_prob", "attention_dropout", "attention_probs_dropout"),
}


def _set_dropout(config: Any, kind: str, value: float | None) -> None:
    if value is None:
        return
    names = [name for name in _DROPOUTS[kind] if hasattr(config, name)]
    if not names:
        raise InputError(f"model.{kind}_dropout: {config.model_type} has no such dropout")
    for name in names:
        setattr(config, name, value)


def runs_padding_free(model: MultiTaskModel, settings: ModelSettings, device_type: str) -> bool:
    """Whether the backbone runs on packed tokens, by ``model.padding_free``.

    Raises:
        InputError: it is ``on``, and there is no such forward for the backbone.
    """
    setting = settings.padding_free
    if setting == "off" or (setting == "auto" and device_type != "cuda"):
        return False
    has_encoder = model.fast_encoder() is not None
    if setting == "on" and not has_encoder:
        raise InputError(
            f"model.padding_free = 'on': there is no padding-free forward for "
            f"{model.backbone.config.model_type} with what is trained in it; set 'auto'"
        )
    return has_encoder


def count_trainable_parameters(model: PreTrainedModel) -> int:
    """The number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def describe_parameters(model: PreTrainedModel) -> str:
    """``22.7 M parameters``, or ``0.312 of 22.7 M parameters`` where others are frozen.

    Frozen weights in another format than fp32 are named: ``, frozen in nf4``.
    """
    trainable = count_trainable_parameters(model)
    total = sum(map(n_values, model.parameters()))
    prefix = "" if trainable == total else f"{trainable / 1e6:.3f} of "
    formats = NumberFormats.from_reference(model.config.reference or {})
    suffix = "" if formats.is_plain else f", frozen in {formats.describe()}"
    return f"{prefix}{total / 1e6:.1f} M parameters{suffix}"
