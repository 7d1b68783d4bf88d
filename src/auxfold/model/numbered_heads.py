"""Checkpoints whose heads are numbered, and the names by which they are asked for.

The layout is that of shahrukhx01/bert-multitask-query-classifiers: a BERT configuration, its
weights as ``bert.*`` with the pooler, and linear heads ``classifier1``, ``classifier2`` on the
pooled output. Which head is which task stands nowhere in it: the order of the map decides.
"""

from __future__ import annotations

from typing import Any

import torch
from safetensors.torch import load_file
from transformers import CONFIG_MAPPING, AutoModel, PreTrainedConfig
from transformers.utils import cached_file

from auxfold.errors import InputError

OURS = "auxfold"  # the model type of a fold folder
FILES = ("model.safetensors", "pytorch_model.bin")
# Of the options of from_pretrained those that say where a file is.
WHERE = ("cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token")


def named(
    place: str, heads: dict[str, int], options: dict[str, Any]
) -> tuple[PreTrainedConfig, dict[str, torch.Tensor]] | None:
    """The backbone's configuration and all weights as ``backbone.*`` and ``heads.<name>.*``.

    Args:
        place: a folder or a hub name.
        heads: head name to width, in the order of the numbers.
        options: of ``from_pretrained``.

    Returns:
        None where the checkpoint is one of ours, whose heads have names.

    Raises:
        InputError: heads of another number or width, missing or surplus weights.
    """
    where = {key: options[key] for key in WHERE if key in options}
    told, _ = PreTrainedConfig.get_config_dict(place, **where)
    kind = told.get("model_type", "bert")
    if kind == OURS:
        return None
    if kind not in CONFIG_MAPPING:
        raise InputError(f"{place} is of the model type {kind!r}, which transformers does not know")
    config = CONFIG_MAPPING[kind].from_dict(told)
    return config, _renamed(place, _weights(place, where), heads, config)


def check_heads(place: str, found: dict[str, int], wanted: dict[str, int]) -> None:
    """Refuse heads of other names or widths than wanted; the order does not matter."""
    if found != wanted:
        raise InputError(f"{place} has the heads {_told(found)}; asked for are {_told(wanted)}")


def _told(heads: dict[str, int]) -> str:
    return ", ".join(f"{name} ({width})" for name, width in heads.items()) or "none"


def _weights(place: str, where: dict[str, Any]) -> dict[str, torch.Tensor]:
    for name in FILES:
        file = cached_file(place, name, _raise_exceptions_for_missing_entries=False, **where)
        if file is not None:
            is_safe = name.endswith(".safetensors")
            return load_file(file) if is_safe else torch.load(file, "cpu", weights_only=True)
    raise InputError(f"{place} holds neither {' nor '.join(FILES)}")


def _renamed(
    place: str,
    weights: dict[str, torch.Tensor],
    heads: dict[str, int],
    config: PreTrainedConfig,
) -> dict[str, torch.Tensor]:
    """The weights under our names, known to be all that the model needs and nothing else."""
    found = [name.split(".")[0] for name in weights if name.startswith("classifier")]
    found = sorted(set(found), key=lambda name: (len(name), name))  # classifier10 behind 9
    widths = {name: len(weights.get(f"{name}.weight", ())) for name in found}
    if list(widths.values()) != list(heads.values()):
        raise InputError(
            f"{place} has the heads {_told(widths)}; task_labels_map names {_told(heads)}, in the "
            f"order of their numbers"
        )
    with torch.device("meta"):
        backbone = AutoModel.from_config(config)
    parts = {backbone.base_model_prefix: "backbone"}
    parts |= {old: f"heads.{name}" for old, name in zip(found, heads, strict=True)}
    made = {}
    for name, values in weights.items():
        part, _, rest = name.partition(".")
        if not rest.endswith("position_ids"):  # a constant that older versions stored
            made[f"{parts.get(part, part)}.{rest}"] = values
    needed = {f"backbone.{name}" for name in backbone.state_dict()}
    needed |= {f"heads.{name}.{kind}" for name in heads for kind in ("weight", "bias")}
    if set(made) != needed:
        wrong = sorted(set(made) ^ needed)[0]
        raise InputError(
            f"{place} {'lacks' if wrong in needed else 'has a surplus'} {wrong}; expected are "
            f"{backbone.base_model_prefix}.* with its pooler, classifier1.*, classifier2.*"
        )
    return made
