"""Export folds with an adapter as plain models, which include the weights of the backbone."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import torch
from transformers.utils import CONFIG_NAME, SAFE_WEIGHTS_NAME

from auxfold.errors import InputError
from auxfold.model.config import MultiTaskConfig
from auxfold.model.multitask import MultiTaskModel
from auxfold.storage.atomic import atomic_write_folder
from auxfold.storage.checksums import CHECKSUMS, write_checksums
from auxfold.storage.run_folder import FoldFolder


def refers_to_backbone(fold: FoldFolder) -> bool:
    """Whether a fold holds only an adapter and the heads, and refers to its backbone."""
    return MultiTaskConfig.from_pretrained(fold.path).reference is not None


def merge_fold(fold: FoldFolder, target: Path, overwrite: bool = False) -> FoldFolder:
    """Write a fold folder with all weights, and with every other file of the fold.

    LoRA, DoRA and IA3 become part of the weights, which then need no peft. Bottlenecks and prefixes
    are modules of auxfold and remain.

    Raises:
        InputError: the fold is plain already, its backbone is missing, or ``target`` exists.
    """
    if not refers_to_backbone(fold):
        raise InputError(f"{fold.path} is a plain model already: there is no adapter to merge")
    if target.exists() and not overwrite:
        raise InputError(f"{target} exists; give --overwrite to replace it")
    model = load_merged_fold(fold)  # before anything is written
    atomic_write_folder(target, partial(_write_fold, fold, model), overwrite=overwrite)
    return FoldFolder(target)


def load_merged_fold(fold: FoldFolder) -> MultiTaskModel:
    """The plain model of a fold in fp32, with its adapter merged into the backbone."""
    return MultiTaskModel.from_pretrained(fold.path, dtype=torch.float32).merge()


def _write_fold(fold: FoldFolder, model: MultiTaskModel, target: Path) -> None:
    """Fill an empty folder with the fold's files and its merged model."""
    others = shutil.ignore_patterns(CONFIG_NAME, SAFE_WEIGHTS_NAME, CHECKSUMS)
    shutil.copytree(fold.path, target, ignore=others, dirs_exist_ok=True)
    model.save_pretrained(target)
    write_checksums(target, [path.name for path in target.iterdir() if path.is_file()])
