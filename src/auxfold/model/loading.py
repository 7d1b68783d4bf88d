"""Backbones without weights, and models that are stored without their frozen backbone."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file
from transformers import AutoModel, PreTrainedModel
from transformers.utils import CONFIG_NAME, SAFE_WEIGHTS_NAME, cached_file

from auxfold.errors import InputError
from auxfold.model.adapters.injection import load_trainable_state_dict
from auxfold.model.config import MultiTaskConfig
from auxfold.model.hub import HUB_OPTIONS, select_hub_options
from auxfold.model.number_formats import NumberFormats
from auxfold.model.numbered_heads import check_heads, load_numbered_heads
from auxfold.model.reference import load_reference_backbone
from auxfold.model.shared_backbones import SharedBackbones
from auxfold.storage.checksums import check_file, read_checksums

Model = TypeVar("Model", bound=PreTrainedModel)

# Options of `from_pretrained` that also work for such a model. AutoModel passes the last one, for
# peft's own files.
SUPPORTED_OPTIONS = {
    *HUB_OPTIONS, "config", "dtype", "torch_dtype", "attn_implementation", "trust_remote_code",
    "adapter_kwargs",
}  # fmt: skip


def load_config(
    path: str | os.PathLike[str] | None, options: dict[str, Any]
) -> MultiTaskConfig | None:
    """The configuration of the model at ``path``, unless the options hold one already.

    Args:
        path: a folder, a hub name, or None.
        options: those of ``from_pretrained``.
    """
    config = options.get("config")
    if path is None or isinstance(config, MultiTaskConfig):
        return config
    return MultiTaskConfig.from_pretrained(path, **select_hub_options(options))


def build_backbone(config: MultiTaskConfig) -> PreTrainedModel:
    """A backbone with random weights.

    Raises:
        InputError: the configuration names Python code of its own, or no backbone.
    """
    # Only "eager" is passed on. Otherwise each backbone takes the best attention that it supports.
    attention = "eager" if config._attn_implementation == "eager" else None
    dtype = torch.get_default_dtype()  # that of `from_pretrained(dtype=…)`, as for the heads
    try:
        backbone: PreTrainedModel = AutoModel.from_config(
            config.backbone_config(),
            attn_implementation=attention,
            dtype=dtype,
            trust_remote_code=False,  # otherwise transformers may ask, and wait for an answer
        )
    except ValueError as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"the stored model's backbone cannot be built: {reason}") from None
    for parameter in backbone.parameters():
        parameter.data = parameter.data.to(dtype)  # DeBERTa has biases that are always fp32
    return backbone


def load_model(
    model_class: type[Model],
    load_plain: Callable[..., Any],
    path: str | os.PathLike[str] | None,
    args: tuple[Any, ...],
    task_labels_map: dict[str, int] | None,
    options: dict[str, Any],
    backbones: SharedBackbones | None = None,
) -> Any:
    """Load a model with all of its weights, with a reference, with numbered or with new heads.

    Args:
        model_class: the class of the model.
        load_plain: ``from_pretrained`` of transformers.
        path: a folder, a hub name, or None.
        args: more positional arguments of ``from_pretrained``.
        task_labels_map: head name to number of labels, or None.
        options: those of ``from_pretrained``.
        backbones: those that a model with a reference shares with other models; None: none.

    Raises:
        InputError: the heads are others than those of ``task_labels_map``, an adapter's backbone is
            missing or another one, or a file of a fold is damaged.
    """
    _check_files(path, options)
    if task_labels_map is not None:
        checkpoint = load_numbered_heads(str(path), task_labels_map, options)
        if checkpoint is not None and checkpoint.state_dict is None:
            return load_with_new_heads(model_class, str(path), checkpoint.config, options)
        if checkpoint is not None:
            return load_plain(None, **checkpoint._asdict(), **options)
    config = load_config(path, options)
    if path is None or config is None or config.reference is None:
        loaded = load_plain(path, *args, **options)
    else:
        loaded = load_with_reference(model_class, path, config, options, backbones)
    if task_labels_map is not None:
        model = loaded[0] if isinstance(loaded, tuple) else loaded  # with output_loading_info
        check_heads(str(path), model.config.output_widths(), task_labels_map)
    return loaded


def _check_files(path: str | os.PathLike[str] | None, options: dict[str, Any]) -> None:
    """Refuse a fold whose weights or configuration are not as they were written."""
    if path is None:
        return
    folder = Path(path, options.get("subfolder") or "")
    for name in read_checksums(folder):
        if name == CONFIG_NAME or name.endswith((".safetensors", ".safetensors.index.json")):
            check_file(folder / name)


def load_with_new_heads(
    model_class: type[Model], path: str, config: MultiTaskConfig, options: dict[str, Any]
) -> Model:
    """Load a backbone and put heads with random weights on it, which are yet to be trained.

    The heads read the backbone's pooler, as those of the published class do, or the first token
    where it has none.

    Args:
        model_class: the class of the model.
        path: a folder or a hub name of the backbone.
        config: the configuration with the heads.
        options: those of ``from_pretrained``.

    Returns:
        The model in evaluation mode, in fp32 unless the options hold another ``dtype``.

    Raises:
        InputError: an option that does not work for such a model.
    """
    _check_options(options, "whose heads are new; save it, and load what is saved")
    config.dtype = config.backbone_config().dtype
    dtype = _parse_dtype(options.get("dtype") or options.get("torch_dtype"), config)
    others = {name: options[name] for name in options if name not in ("dtype", "torch_dtype")}
    others.setdefault("trust_remote_code", False)
    backbone = AutoModel.from_pretrained(path, dtype=dtype, **others)
    if getattr(backbone, "pooler", None) is None:
        config.pooling = "cls"
    model = model_class(config, backbone=backbone)
    model.to(dtype)  # type: ignore[arg-type]  # the wrapper of transformers hides the overloads
    model.config.dtype = dtype
    heads = ", ".join(f"{name} ({width})" for name, width in config.heads.items())
    warnings.warn(
        f"{path} has no heads; newly initialized, and to be trained, are {heads}", stacklevel=4
    )
    return model.eval()


def load_with_reference(
    model_class: type[Model],
    path: str | os.PathLike[str],
    config: MultiTaskConfig,
    options: dict[str, Any],
    backbones: SharedBackbones | None = None,
) -> Model:
    """Load the backbone that ``config.reference`` names, and the trained parameters at ``path``.

    Args:
        model_class: the class of the model.
        path: a folder or a hub name.
        config: the stored configuration.
        options: those of ``from_pretrained``.
        backbones: those that the model shares with others, with their number format and device.

    Returns:
        The model in evaluation mode, in fp32 unless the options hold another ``dtype``. Frozen
        weights that were trained in another number format keep it.

    Raises:
        InputError: an option that works only for a model with all of its weights, or the backbone
            is missing or another one.
    """
    _check_options(
        options,
        "whose backbone is stored elsewhere; scripts/merge.py makes plain models of adapters",
    )
    assert config.reference is not None
    attention = options.get("attn_implementation")
    load = partial(
        load_reference_backbone,
        _locate_backbone(config.reference, path, None if backbones is None else backbones.folder),
        config.backbone_config(),
        attn_implementation=attention,
    )
    backbone = load() if backbones is None else backbones.get(config, load, attention)
    model = model_class(config, backbone=backbone)
    dtype = _parse_dtype(options.get("dtype") or options.get("torch_dtype"), config)
    if backbones is None and NumberFormats.from_reference(config.reference).is_plain:
        model.to(dtype)  # type: ignore[arg-type]  # the wrapper of transformers hides the overloads
    for parameter in model.parameters():
        if parameter.requires_grad:  # peft takes the format of the layer, which may be another one
            parameter.data = parameter.data.to(dtype)
    file = cached_file(path, SAFE_WEIGHTS_NAME, **select_hub_options(options))
    assert file is not None  # otherwise cached_file raises
    load_trainable_state_dict(model, load_file(file))
    model.config.dtype = dtype
    return model.eval()


def _locate_backbone(
    reference: dict[str, str], path: str | os.PathLike[str], folder: str | None
) -> dict[str, str]:
    """A reference whose name is a folder, where a copy of the backbone is known to be in one.

    Args:
        reference: of the model. Its ``path`` leads from the model to a copy, as in a bundle.
        path: of the model.
        folder: has a copy; None: there may be one at ``path``.
    """
    if folder is None and "path" in reference and Path(path, reference["path"]).is_dir():
        folder = str(Path(path, reference["path"]))
    return reference if folder is None else {**reference, "name": folder}


def _parse_dtype(option: torch.dtype | str | None, config: MultiTaskConfig) -> torch.dtype:
    """The number format that an option of ``from_pretrained`` asks for, by default fp32."""
    name = (config.dtype if option == "auto" else option) or torch.float32
    dtype = getattr(torch, name, None) if isinstance(name, str) else name
    if not isinstance(dtype, torch.dtype):
        raise InputError(
            f"from_pretrained: dtype = {option!r}; expected is 'auto' or torch.float16"
        )
    return dtype


def _check_options(options: dict[str, Any], model: str) -> None:
    """Refuse options without effect, rather than ignore them."""
    others = [
        name for name in options if name not in SUPPORTED_OPTIONS and not name.startswith("_")
    ]
    if others:
        raise InputError(f"from_pretrained: {others[0]} is not for a model {model}")
