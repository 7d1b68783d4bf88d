"""Load backbones and tokenizers by hub name, local folder, or ``embedded``, and build models."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from torch import nn
from transformers import CONFIG_MAPPING, AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel

from auxfold.config import Model as ModelSettings
from auxfold.config.experiment import Experiment
from auxfold.errors import InputError
from auxfold.model.config import MultiTaskConfig
from auxfold.model.multitask import MultiTaskModel
from auxfold.model.reference import backbone_path, backbone_sha256


def load_tokenizer(settings: ModelSettings) -> Any:
    """Load the fast tokenizer of a backbone.

    Raises:
        InputError: the tokenizer cannot be loaded, is not a fast one, or has no padding token.
    """
    name = backbone_path(settings.backbone)
    tokenizer = _load_pretrained(AutoTokenizer, name, settings, use_fast=True)
    if not tokenizer.is_fast:
        raise InputError(f"model.backbone = {settings.backbone!r} has no fast tokenizer")
    if tokenizer.pad_token_id is None:
        raise InputError(
            f"model.backbone = {settings.backbone!r} has no padding token: it is not an encoder"
        )
    return tokenizer


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
            transformers, not an encoder, or too short for ``model.max_length``.
    """
    settings = experiment.model
    for task in heads:
        if hasattr(nn.ModuleDict(), task):
            raise InputError(f"a task cannot be called {task!r} (torch uses the name); rename it")
    backbone = _load_backbone(settings, device_type)
    adapter: dict[str, Any] = {}
    if settings.adapter is not None:
        adapter["adapter"] = settings.adapter.model_dump(mode="json", exclude_none=True)
        adapter["reference"] = {"name": settings.backbone, "sha256": backbone_sha256(backbone)}
    return MultiTaskModel(
        MultiTaskConfig(
            backbone=backbone.config.to_dict(),
            heads=heads,
            main_task=experiment.main_task.name,
            pooling=settings.pooling,
            head_dropout=settings.head_dropout,
            multisample_dropout=settings.multisample_dropout,
            **adapter,
        ),
        backbone=backbone,
    )


def _load_backbone(settings: ModelSettings, device_type: str) -> PreTrainedModel:
    name = backbone_path(settings.backbone)
    config = _load_pretrained(AutoConfig, name, settings)
    if config.model_type not in CONFIG_MAPPING:
        raise InputError(
            f"model.backbone = {settings.backbone!r} is of the model type {config.model_type!r}, "
            f"which transformers {transformers.__version__} does not know: "
            f"a trained fold could not be loaded again"
        )
    _set_dropout(config, "hidden", settings.hidden_dropout)
    _set_dropout(config, "attention", settings.attention_dropout)
    backbone = _load_pretrained(
        AutoModel,
        name,
        settings,
        config=config,
        dtype=torch.float32,  # not the checkpoint's: gradients of fp16 weights cannot be unscaled
        attn_implementation=choose_attention(settings.attention, device_type),
    )
    if config.is_encoder_decoder or not hasattr(backbone.config, "hidden_size"):
        raise InputError(f"model.backbone = {settings.backbone!r} is not an encoder")
    _check_length(backbone, settings)
    return backbone


def _check_length(backbone: PreTrainedModel, settings: ModelSettings) -> None:
    """Refuse more tokens than a backbone with absolute positions has positions for."""
    for name, module in backbone.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            # RoBERTa and similar models start to count positions after the padding index.
            start = 0 if module.padding_idx is None else module.padding_idx + 1
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


def _load_pretrained(loader: Any, name: str, settings: ModelSettings, **options: Any) -> Any:
    try:
        return loader.from_pretrained(name, trust_remote_code=settings.trust_remote_code, **options)
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"model.backbone = {name!r} cannot be loaded: it is neither a folder with a model "
            f"nor reachable on the hub from here. Give a local folder, 'embedded', or go online "
            f"({reason})"
        ) from None


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


def count_trainable_parameters(model: PreTrainedModel) -> int:
    """The number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def describe_parameters(model: PreTrainedModel) -> str:
    """``22.7 M parameters``, or ``0.312 of 22.7 M parameters`` where others are frozen."""
    trainable = count_trainable_parameters(model)
    total = sum(p.numel() for p in model.parameters())
    prefix = "" if trainable == total else f"{trainable / 1e6:.3f} of "
    return f"{prefix}{total / 1e6:.1f} M parameters"
