"""Load backbones by hub name, local folder, or ``embedded``, and build models."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from torch import nn
from transformers import CONFIG_MAPPING, AutoConfig, AutoModel, PreTrainedModel

from auxfold.config import LoraAdapter
from auxfold.config import Model as ModelSettings
from auxfold.config.experiment import Experiment
from auxfold.errors import InputError
from auxfold.model.adapters.injection import linear_layers
from auxfold.model.causality import choose_pooling, is_causal
from auxfold.model.config import MultiTaskConfig
from auxfold.model.hub import load_pretrained
from auxfold.model.multitask import MultiTaskModel
from auxfold.model.reference import backbone_sha256


def build_model(
    experiment: Experiment, heads: dict[str, int], device_type: str = "cpu"
) -> MultiTaskModel:
    """Build a model: pretrained backbone in fp32, new heads, and the adapter if there is one.

    Args:
        experiment: its ``[model]`` section and main task are used.
        heads: task name to head width.
        device_type: the device for which ``model.attention = "auto"`` chooses the attention.

    Raises:
        InputError: a task name that torch uses, or a backbone that is missing, unknown to
            transformers, an encoder with a decoder, too short for ``model.max_length``, or one that
            ``model.pooling`` does not fit.
    """
    settings = experiment.model
    for task in heads:
        if hasattr(nn.ModuleDict(), task):
            raise InputError(f"a task cannot be called {task!r} (torch uses the name); rename it")
    backbone = _load_backbone(settings, device_type)
    causal = is_causal(backbone)
    if causal:
        backbone.config.use_cache = False  # keys and values are kept for generating text only
    pooling = choose_pooling(settings.pooling, causal)
    adapter: dict[str, Any] = {}
    if settings.adapter is not None:
        adapter["adapter"] = settings.adapter.model_dump(mode="json", exclude_none=True)
        if causal and isinstance(settings.adapter, LoraAdapter):
            adapter["adapter"].setdefault("target_modules", linear_layers(backbone))
        adapter["reference"] = {"name": settings.backbone, "sha256": backbone_sha256(backbone)}
    return MultiTaskModel(
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


def _load_backbone(settings: ModelSettings, device_type: str) -> PreTrainedModel:
    config = load_pretrained(AutoConfig, settings)
    if config.model_type not in CONFIG_MAPPING:
        raise InputError(
            f"model.backbone = {settings.backbone!r} is of the model type {config.model_type!r}, "
            f"which transformers {transformers.__version__} does not know: "
            f"a trained fold could not be loaded again"
        )
    _set_dropout(config, "hidden", settings.hidden_dropout)
    _set_dropout(config, "attention", settings.attention_dropout)
    backbone = load_pretrained(
        AutoModel,
        settings,
        config=config,
        dtype=torch.float32,  # not the checkpoint's: gradients of fp16 weights cannot be unscaled
        attn_implementation=choose_attention(settings.attention, device_type),
    )
    if config.is_encoder_decoder or not hasattr(backbone.config, "hidden_size"):
        raise InputError(
            f"model.backbone = {settings.backbone!r} is neither an encoder nor a decoder by itself"
        )
    _check_length(backbone, settings)
    return backbone


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
    """``22.7 M parameters``, or ``0.312 of 22.7 M parameters`` where others are frozen."""
    trainable = count_trainable_parameters(model)
    total = sum(p.numel() for p in model.parameters())
    prefix = "" if trainable == total else f"{trainable / 1e6:.3f} of "
    return f"{prefix}{total / 1e6:.1f} M parameters"
