"""The files of a fold that predictions need, copied into a bundle by their names.

Other files in a fold's folder stay where they are. A run folder may be somebody else's, and a
bundle is uploaded: so links are only followed within the run folder and the cache of the hub.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from huggingface_hub.constants import HF_HUB_CACHE
from transformers.tokenization_utils_base import (
    ADDED_TOKENS_FILE,
    FULL_TOKENIZER_FILE,
    SPECIAL_TOKENS_MAP_FILE,
    TOKENIZER_CONFIG_FILE,
)
from transformers.utils import CHAT_TEMPLATE_FILE, CONFIG_NAME, SAFE_WEIGHTS_NAME

from auxfold.errors import InputError
from auxfold.inference.fold_loader import load_fold_tokenizer
from auxfold.storage.checksums import check_file
from auxfold.storage.run_folder import FoldFolder

MODEL_FILES = (CONFIG_NAME, SAFE_WEIGHTS_NAME)
TOKENIZER_FILES = (
    FULL_TOKENIZER_FILE, SPECIAL_TOKENS_MAP_FILE, ADDED_TOKENS_FILE, CHAT_TEMPLATE_FILE
)  # fmt: skip


def check_fold_files(fold: FoldFolder) -> None:
    """Refuse a fold that lacks a file, or has a link out of the run folder and the hub's cache.

    Raises:
        InputError: naming the file.
    """
    for name in _required_files(fold):
        resolve_in_run(fold.path / name, fold.path.parent)
    for path in sorted(fold.path.iterdir()):
        if path.is_symlink():
            resolve_in_run(path, fold.path.parent)


def copy_fold_files(fold: FoldFolder, target: Path, without: Collection[str] = ()) -> None:
    """Copy what predictions need into a new folder: model, tokenizer, experiment and record.

    Args:
        fold: the fold, which has passed :func:`check_fold_files`.
        target: the folder.
        without: files that are not copied.

    Raises:
        InputError: a file is missing or damaged.
    """
    vocabulary = load_fold_tokenizer(fold).vocab_files_names.values()
    optional = [name for name in (*TOKENIZER_FILES, *vocabulary) if (fold.path / name).exists()]
    target.mkdir(parents=True)
    for name in dict.fromkeys([*_required_files(fold), *optional]):
        if name not in without:
            copy_file(fold.path / name, target / name, fold.path.parent)


def copy_file(path: Path, target: Path, run_folder: Path) -> None:
    """Copy a file of a run.

    Raises:
        InputError: it is missing, damaged, or a link out of the run folder and the hub's cache.
    """
    source = resolve_in_run(path, run_folder)
    check_file(path)
    shutil.copyfile(source, target)


def resolve_in_run(path: Path, folder: Path, description: str = "the run folder") -> Path:
    """The file that a path leads to.

    Args:
        path: a file in the folder.
        folder: the folder of the run, or of a backbone, which may be a link itself.
        description: what the folder is called in a message.

    Raises:
        InputError: there is no file, or it is outside of the folder and of the hub's cache.
    """
    source = path.resolve()
    roots = (folder.resolve(), Path(HF_HUB_CACHE).resolve())
    if not any(source.is_relative_to(root) for root in roots):
        raise InputError(
            f"{path} leads to {source}, which is neither in {description} nor in the hub's cache "
            f"({HF_HUB_CACHE}); a bundle holds no such file: put a copy of it in its place"
        )
    if not source.is_file():
        raise InputError(f"{path} is missing or no file; put it back from a copy, or train again")
    return source


def _required_files(fold: FoldFolder) -> list[str]:
    return [*MODEL_FILES, TOKENIZER_CONFIG_FILE, fold.experiment.name, fold.run.name]
