"""Load checkpoints whose heads have numbers instead of names, or that have no heads yet.

The layout is that of shahrukhx01/bert-multitask-query-classifiers: a BERT configuration, its
weights as ``bert.*`` with the pooler, and linear heads ``classifier1``, ``classifier2`` on the
pooled output. Such a checkpoint does not store which head belongs to which task, so the order of
``task_labels_map`` decides.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from transformers import CONFIG_MAPPING, AutoModel, PreTrainedConfig
from transformers.utils import cached_file

from auxfold.errors import InputError
from auxfold.model.config import MultiTaskConfig
from auxfold.model.hub import select_hub_options

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")


class NamedCheckpoint(NamedTuple):
    """A checkpoint as a multi-task model.

    Attributes:
        config: its configuration.
        state_dict: weights by parameter name; None where the checkpoint is a backbone without
            heads.
    """

    config: MultiTaskConfig
    state_dict: dict[str, torch.Tensor] | None


def load_numbered_heads(
    path: str, heads: dict[str, int], options: dict[str, Any]
) -> NamedCheckpoint | None:
    """Load a checkpoint with numbered heads under the names of a multi-task model.

    Args:
        path: a folder or a hub name.
        heads: head name to width, in the order of the heads' numbers.
        options: those of ``from_pretrained``, which may say where files come from.

    Returns:
        None where the checkpoint is a multi-task model, whose heads have names already.

    Raises:
        InputError: no head is named, the number or the widths of the heads differ, or weights are
            missing or surplus.
    """
    hub_options = select_hub_options(options)
    values, _ = PreTrainedConfig.get_config_dict(path, **hub_options)
    model_type = values.get("model_type", "bert")
    if model_type == MultiTaskConfig.model_type:
        return None
    if model_type not in CONFIG_MAPPING:
        raise InputError(
            f"{path} is of the model type {model_type!r}, which transformers does not know"
        )
    backbone_config = CONFIG_MAPPING[model_type].from_dict(values)
    weights = _load_weights(path, hub_options)
    state_dict = None
    if any(name.startswith("classifier") for name in weights):
        state_dict = _rename_weights(path, weights, heads, backbone_config)
    elif not heads:
        raise InputError(f"{path}: task_labels_map names no head; expected is a width per name")
    return NamedCheckpoint(_multitask_config(backbone_config, heads), state_dict)


def _multitask_config(backbone: PreTrainedConfig, heads: dict[str, int]) -> MultiTaskConfig:
    dropout: Any = getattr(backbone, "classifier_dropout", None)
    if dropout is None:
        dropout = getattr(backbone, "hidden_dropout_prob", 0.1)
    return MultiTaskConfig(
        backbone=backbone.to_dict(),
        heads=dict(heads),
        main_task=next(iter(heads)),
        pooling="pooler",
        head_dropout=dropout,
    )


def check_heads(path: str, heads: dict[str, int], expected: dict[str, int]) -> None:
    """Refuse a model whose heads have other names or widths; their order does not matter.

    Raises:
        InputError: the heads are not the expected ones.
    """
    if heads != expected:
        raise InputError(
            f"{path} has the heads {_format_heads(heads)}; asked for are {_format_heads(expected)}"
        )


def _format_heads(heads: dict[str, int]) -> str:
    return ", ".join(f"{name} ({width})" for name, width in heads.items()) or "none"


def _load_weights(path: str, hub_options: dict[str, Any]) -> dict[str, torch.Tensor]:
    for name in WEIGHT_FILES:
        file = cached_file(path, name, _raise_exceptions_for_missing_entries=False, **hub_options)
        if file is not None:
            is_safe = name.endswith(".safetensors")
            return load_file(file) if is_safe else torch.load(file, "cpu", weights_only=True)
    raise InputError(f"{path} holds neither {' nor '.join(WEIGHT_FILES)}")


def _rename_weights(
    path: str,
    weights: dict[str, torch.Tensor],
    heads: dict[str, int],
    config: PreTrainedConfig,
) -> dict[str, torch.Tensor]:
    """The weights as ``backbone.*`` and ``heads.<name>.*``, checked to be complete and no more."""
    modules = {name.split(".")[0] for name in weights}
    numbered = [name for name in modules if name.startswith("classifier")]
    numbered.sort(key=lambda name: (len(name), name))  # classifier10 comes after classifier9
    widths = {name: len(weights.get(f"{name}.weight", ())) for name in numbered}
    if list(widths.values()) != list(heads.values()):
        raise InputError(
            f"{path} has the heads {_format_heads(widths)}; task_labels_map names "
            f"{_format_heads(heads)}, in the order of their numbers"
        )
    with torch.device("meta"):
        backbone = AutoModel.from_config(config)
    new_modules = {backbone.base_model_prefix: "backbone"}
    new_modules |= {old: f"heads.{name}" for old, name in zip(numbered, heads, strict=True)}
    state_dict = {}
    for name, values in weights.items():
        module, _, rest = name.partition(".")
        if not rest.endswith("position_ids"):  # a constant that older versions stored
            state_dict[f"{new_modules.get(module, module)}.{rest}"] = values
    needed = {f"backbone.{name}" for name in backbone.state_dict()}
    needed |= {f"heads.{name}.{kind}" for name in heads for kind in ("weight", "bias")}
    if set(state_dict) != needed:
        wrong = sorted(set(state_dict) ^ needed)[0]
        raise InputError(
            f"{path} {'lacks' if wrong in needed else 'has a surplus'} {wrong}; expected are "
            f"{backbone.base_model_prefix}.* with its pooler, classifier1.*, classifier2.*"
        )
    return state_dict
