"""The models of a run in a bundle: plain folds, a soup, or adapters next to their backbone."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers.utils import CONFIG_NAME, SAFE_WEIGHTS_NAME

from auxfold.errors import InputError
from auxfold.inference.merge import load_merged_fold, refers_to_backbone
from auxfold.inference.soup import make_soup
from auxfold.kaggle.fold_copy import MODEL_FILES, copy_fold_files, resolve_in_run
from auxfold.kaggle.wheels import adapter_uses
from auxfold.model.config import MultiTaskConfig
from auxfold.model.multitask import MultiTaskModel
from auxfold.model.published_files import list_published_files
from auxfold.model.reference import (
    backbone_path,
    check_published_tensors,
    load_reference_backbone,
)
from auxfold.storage.atomic import atomic_write, read_json, write_json
from auxfold.storage.run_folder import SOUP, FoldFolder

SOUP_FOLD = f"fold_{SOUP}"
BACKBONES = "backbones"  # the folder in the bundle


def write_soup(folds: list[FoldFolder], target: Path, dtype_name: str) -> None:
    """Write the mean of the weights of folds as a plain fold.

    Args:
        folds: the folds.
        target: the folder.
        dtype_name: number format of the weights, ``fp16`` or ``fp32``.
    """
    _write_model(folds[0], make_soup(folds), target)
    _store_as(dtype_name, target)


def write_plain_fold(fold: FoldFolder, target: Path, dtype_name: str) -> None:
    """Write a fold with all weights; an adapter is merged into its backbone.

    Args:
        fold: the fold.
        target: the folder.
        dtype_name: number format of the weights, ``fp16`` or ``fp32``.
    """
    if refers_to_backbone(fold):
        _write_model(fold, load_merged_fold(fold), target)
    else:
        copy_fold_files(fold, target)
    _store_as(dtype_name, target)


def write_adapter_fold(fold: FoldFolder, target: Path, bundle: Path) -> None:
    """Write a fold of megabytes, and its backbone if no other fold has brought it.

    The adapter is stored as trained and the backbone as published, so that predictions are those
    that the fold makes at home.

    Args:
        fold: the fold, which refers to its backbone.
        target: the folder.
        bundle: the folder of the dataset.

    Raises:
        InputError: the backbone is missing or another one.
    """
    reference = MultiTaskConfig.from_pretrained(fold.path).reference
    assert reference is not None
    digest = reference.get("tensors_sha256") or reference["sha256"]
    folder = bundle / BACKBONES / f"{Path(reference['name']).name}-{digest[:8]}"
    if not folder.is_dir():
        _copy_backbone(fold, folder)
    copy_fold_files(fold, target)
    stored = read_json(target / CONFIG_NAME)
    path = os.path.relpath(folder, target).replace(os.sep, "/")
    write_json(target / CONFIG_NAME, {**stored, "reference": {**reference, "path": path}})


def _copy_backbone(fold: FoldFolder, folder: Path) -> None:
    """Copy the published files of a fold's backbone, and check that it is the right one.

    Raises:
        InputError: a file is missing or a link to elsewhere, or it is another backbone.
    """
    config = MultiTaskConfig.from_pretrained(fold.path)
    assert config.reference is not None
    name = config.reference["name"]
    try:
        files = list_published_files(backbone_path(name))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{fold.path} is an adapter of the backbone {name!r}, whose files are not here "
            f"({str(error).strip().splitlines()[0]}); put them back, go online, or give "
            f"--backbone-source with a Kaggle model or dataset that has them"
        ) from None
    folder.mkdir(parents=True)
    for file in files:
        source = resolve_in_run(file, file.parent, "the backbone's folder")
        shutil.copyfile(source, folder / file.name)
    copied = {**config.reference, "name": str(folder)}
    if "tensors_sha256" in copied:
        check_published_tensors(copied)
    else:  # of version 0.1
        load_reference_backbone(copied, config.backbone_config())


def backbone_name(fold: FoldFolder) -> str | None:
    """The name of the backbone that a fold refers to; None: it has all weights."""
    reference = MultiTaskConfig.from_pretrained(fold.path).reference
    return None if reference is None else reference["name"]


def all_requirements(folds: list[FoldFolder]) -> list[str]:
    """The packages that plain folds do not need, in pip's form.

    Args:
        folds: adapters of a backbone.
    """
    requirements: set[str] = set()
    for fold in folds:
        config = MultiTaskConfig.from_pretrained(fold.path)
        assert config.adapter is not None and config.reference is not None
        uses = adapter_uses(config.adapter["kind"], "quantization" in config.reference)
        requirements.update(name for names, used in uses.items() if used for name in names)
    return sorted(requirements)


def _write_model(fold: FoldFolder, model: MultiTaskModel, target: Path) -> None:
    """A model that is not stored as such, with the other files of a fold."""
    copy_fold_files(fold, target, without=MODEL_FILES)
    model.save_pretrained(target)


def _store_as(dtype_name: str, target: Path) -> None:
    """Store the weights of a fold in a number format."""
    if dtype_name == "fp16":
        path = target / SAFE_WEIGHTS_NAME
        # Written to another file first, because the tensors may still be mapped from this one.
        atomic_write(path, partial(save_file, _load_as_fp16(path), metadata={"format": "pt"}))


def _load_as_fp16(path: Path) -> dict[str, torch.Tensor]:
    """The weights in fp16, which halves the upload.

    Raises:
        InputError: a weight is too large for fp16.
    """
    weights = {}
    for name, values in load_file(path).items():
        weights[name] = values.to(torch.float16) if values.is_floating_point() else values
        if not torch.isfinite(weights[name]).all():
            raise InputError(f"{path}: {name} does not fit into fp16; give --precision fp32")
    return weights
