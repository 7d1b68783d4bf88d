"""Of a fold only named files are copied, and no link leads a bundle to files outside of the run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from auxfold.errors import InputError
from auxfold.kaggle import fold_copy
from auxfold.kaggle.fold_copy import check_fold_files, copy_fold_files
from auxfold.storage.run_folder import FoldFolder
from conftest import make_backbone

NAMES = {
    "config.json", "experiment.toml", "model.safetensors", "run.json", "tokenizer.json",
    "tokenizer_config.json",
}  # fmt: skip


@pytest.fixture
def fold(tmp_path) -> FoldFolder:
    """What a fold's folder has: a model, a tokenizer and records; and what people put there."""
    folder = tmp_path / "run/fold_0"
    make_backbone(folder)
    for name in ("experiment.toml", "run.json", "oof.parquet", "history.jsonl", "README.md"):
        (folder / name).write_text(name)
    (folder / "secrets.json").write_text("{}")
    (folder / ".ipynb_checkpoints").mkdir()
    return FoldFolder(folder)


def copy(fold: FoldFolder, target: Path) -> set[str]:
    check_fold_files(fold)
    copy_fold_files(fold, target)
    return {path.name for path in target.iterdir()}


def test_only_named_files_are_copied(fold, tmp_path):
    assert copy(fold, tmp_path / "bundle") == NAMES
    copy_fold_files(fold, tmp_path / "plain", without=fold_copy.MODEL_FILES)
    assert {path.name for path in (tmp_path / "plain").iterdir()} == NAMES - {
        "config.json", "model.safetensors"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "notes.txt"])
@pytest.mark.parametrize("is_absolute", [True, False])
def test_a_link_out_of_the_run_is_refused(fold, tmp_path, name, is_absolute):
    secret = tmp_path / "secret"
    secret.write_text("token")
    path = fold.path / name
    path.unlink(missing_ok=True)
    path.symlink_to(secret if is_absolute else os.path.relpath(secret, fold.path))
    with pytest.raises(InputError, match=f"{path} leads to {secret}, which is neither in the run"):
        check_fold_files(fold)


def test_links_within_the_run_and_into_the_hubs_cache_are_followed(fold, tmp_path, monkeypatch):
    weights, config = fold.path / "model.safetensors", fold.path / "config.json"
    shutil.move(weights, fold.path.parent / "shared")
    weights.symlink_to("../shared")
    (tmp_path / "hub/blobs").mkdir(parents=True)
    shutil.move(config, tmp_path / "hub/blobs/abc")
    config.symlink_to(tmp_path / "hub/blobs/abc")
    with pytest.raises(InputError, match="config.json leads to"):
        check_fold_files(fold)
    monkeypatch.setattr(fold_copy, "HF_HUB_CACHE", str(tmp_path / "hub"))
    assert copy(fold, tmp_path / "bundle") == NAMES
    assert not any(path.is_symlink() for path in (tmp_path / "bundle").iterdir())
    (tmp_path / "link").symlink_to(fold.path.parent)  # the run folder itself may be one
    assert copy(FoldFolder(tmp_path / "link/fold_0"), tmp_path / "again") == NAMES


def test_a_fold_that_is_a_link_out_of_the_run_is_refused(fold, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/fold_0").symlink_to(fold.path)
    with pytest.raises(InputError, match="neither in the run folder nor in the hub's cache"):
        check_fold_files(FoldFolder(tmp_path / "other/fold_0"))


@pytest.mark.parametrize("name", sorted(NAMES - {"tokenizer.json"}))
def test_a_missing_file_is_named(fold, name):
    path = fold.path / name
    path.unlink()
    with pytest.raises(InputError, match=f"^{path} is missing or no file"):
        check_fold_files(fold)
    os.mkfifo(path)  # reading it would wait forever
    with pytest.raises(InputError, match=f"^{path} is missing or no file"):
        check_fold_files(fold)
