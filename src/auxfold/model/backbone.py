"""Backbones and tokenizers by name: a hub name, a local folder, or ``embedded``."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from torch import nn
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PreTrainedModel,
)

from auxfold.config import Model as ModelSettings
from auxfold.config.experiment import Experiment
from auxfold.errors import InputError
from auxfold.model.multitask import MultiTaskConfig, MultiTaskModel
from auxfold.model.reference import backbone_path, digest


def load_tokenizer(settings: ModelSettings) -> Any:
    """The fast tokenizer of a backbone."""
    name = backbone_path(settings.backbone)
    tokenizer = _load(AutoTokenizer, name, settings, use_fast=True)
    if not tokenizer.is_fast:
        raise InputError(f"model.backbone = {settings.backbone!r} has no fast tokenizer")
    if tokenizer.pad_token_id is None:
        raise InputError(
            f"model.backbone = {settings.backbone!r} pads with no token: it is not an encoder"
        )
    return tokenizer


def new_model(
    experiment: Experiment, heads: dict[str, int], device_type: str = "cpu"
) -> MultiTaskModel:
    """Pretrained backbone in fp32, fresh heads, and the adapter where the experiment has one.

    Args:
        experiment: its ``[model]`` section and main task are used.
        heads: task name to head width.
        device_type: what attention is chosen for when ``model.attention`` is ``auto``.
    """
    settings = experiment.model
    name = backbone_path(settings.backbone)
    for task in heads:
        if hasattr(nn.ModuleDict(), task):
            raise InputError(f"a task cannot be called {task!r} (torch uses the name); rename it")
    config = _load(AutoConfig, name, settings)
    if config.model_type not in CONFIG_MAPPING:
        raise InputError(
            f"model.backbone = {settings.backbone!r} is of a type of its own "
            f"({config.model_type!r}) that transformers {transformers.__version__} does not know: "
            f"a trained fold could not be loaded again"
        )
    _set_dropout(config, "hidden", settings.hidden_dropout)
    _set_dropout(config, "attention", settings.attention_dropout)
    backbone = _load(
        AutoModel,
        name,
        settings,
        config=config,
        dtype=torch.float32,  # never the checkpoint's own: fp16 weights cannot be unscaled
        attn_implementation=attention_for(settings.attention, device_type),
    )
    if config.is_encoder_decoder or not hasattr(backbone.config, "hidden_size"):
        raise InputError(f"model.backbone = {settings.backbone!r} is not an encoder")
    _check_length(backbone, settings)
    adapted: dict[str, Any] = {}
    if settings.adapter is not None:
        adapted["adapter"] = settings.adapter.model_dump(mode="json", exclude_none=True)
        adapted["reference"] = {"name": settings.backbone, "sha256": digest(backbone)}
    return MultiTaskModel(
        MultiTaskConfig(
            backbone=backbone.config.to_dict(),
            heads=heads,
            main_task=experiment.main_task.name,
            pooling=settings.pooling,
            head_dropout=settings.head_dropout,
            multisample_dropout=settings.multisample_dropout,
            **adapted,
        ),
        backbone=backbone,
    )


def _check_length(backbone: PreTrainedModel, settings: ModelSettings) -> None:
    """Refuse more tokens than a backbone with absolute positions has positions for."""
    for name, module in backbone.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            # RoBERTa and its kin count positions from behind the padding's number.
            first = 0 if module.padding_idx is None else module.padding_idx + 1
            if settings.max_length > module.num_embeddings - first:
                raise InputError(
                    f"model.max_length = {settings.max_length}, but {settings.backbone!r} has "
                    f"positions for {module.num_embeddings - first} tokens"
                )


def attention_for(setting: str, device_type: str) -> str | None:
    """The attention to ask for: eager on CPU (measured faster in training), else the default."""
    if setting != "auto":
        return setting
    return "eager" if device_type == "cpu" else None


def _load(loader: Any, name: str, settings: ModelSettings, **options: Any) -> Any:
    try:
        return loader.from_pretrained(name, trust_remote_code=settings.trust_remote_code, **options)
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"model.backbone = {name!r} cannot be loaded: it is neither a folder with a model "
            f"nor reachable on the hub from here. Give a local folder, 'embedded', or go online "
            f"({reason})"
        ) from None


# What each architecture calls its dropouts.
_DROPOUTS = {
    "hidden": ("hidden_dropout_prob", "hidden_dropout", "mlp_dropout", "dropout"),
    "attention": ("attention_probs_dropout_prob", "attention_dropout", "attention_probs_dropout"),
}


def _set_dropout(config: Any, kind: str, value: float | None) -> None:
    if value is None:
        return
    names = [name for name in _DROPOUTS[kind] if hasattr(config, name)]
    if not names:
        raise InputError(f"model.{kind}_dropout: {config.model_type} has no such dropout to set")
    for name in names:
        setattr(config, name, value)


def parameter_count(model: PreTrainedModel) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def parameters_in_words(model: PreTrainedModel) -> str:
    """``22.7 M parameters``, or how many of them are trained beside a frozen backbone."""
    trained, total = parameter_count(model), sum(p.numel() for p in model.parameters())
    share = "" if trained == total else f"{trained / 1e6:.3f} of "
    return f"{share}{total / 1e6:.1f} M parameters"
