"""Folds with an adapter made plain: the backbone's weights with them, none needed elsewhere."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import torch
from transformers.utils import CONFIG_NAME, SAFE_WEIGHTS_NAME

from auxfold.errors import InputError
from auxfold.model.multitask import MultiTaskConfig, MultiTaskModel
from auxfold.storage.run_folder import FoldFolder


def needs_backbone(fold: FoldFolder) -> bool:
    """Whether a fold holds an adapter only, and refers to its backbone."""
    return MultiTaskConfig.from_pretrained(fold.path).reference is not None


def merge_fold(fold: FoldFolder, target: Path, overwrite: bool = False) -> FoldFolder:
    """Write a fold with all its weights, and everything else that it holds, as a fold folder.

    LoRA, DoRA and IA3 become part of the weights, which need no peft then; bottlenecks and prefixes
    are modules of ours and stay.

    Raises:
        InputError: the fold is plain already, its backbone is not there, or ``target`` exists.
    """
    if not needs_backbone(fold):
        raise InputError(f"{fold.path} is a plain model already: there is no adapter to merge")
    if target.exists() and not overwrite:
        raise InputError(f"{target} exists; give --overwrite to write it anew")
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    write_plain(fold, partial)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(partial, target)
    return FoldFolder(target)


def write_plain(fold: FoldFolder, target: Path) -> None:
    """Fill a new folder with the fold's files and its merged model."""
    model = MultiTaskModel.from_pretrained(fold.path, dtype=torch.float32).merge()
    shutil.copytree(
        fold.path, target, ignore=shutil.ignore_patterns(CONFIG_NAME, SAFE_WEIGHTS_NAME)
    )
    model.save_pretrained(target)
