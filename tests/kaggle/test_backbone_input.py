"""The backbone as an input of its own, where Kaggle mounts models and datasets."""

from __future__ import annotations

from pathlib import Path

import pytest

from auxfold.errors import InputError
from auxfold.kaggle.backbone_input import find_backbone

MODEL = "Qwen-LM/Qwen3/Transformers/0.6b/1"


def add_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


@pytest.mark.parametrize(
    ("source", "mount"),
    [
        (MODEL, "qwen3/transformers/0.6b/1"),
        (MODEL, "models/qwen-lm/qwen3/transformers/0.6b/1"),
        ("ada/my-model", "my-model"),
        ("ada/my-model", "datasets/ada/my-model"),
        ("ada/my-model", "my-model/files/small"),
    ],
)
def test_older_and_newer_mounts(tmp_path, source, mount):
    folder = add_model(tmp_path / mount)
    add_model(tmp_path / "my-model-2")
    bundle = add_model(tmp_path / "auxfold-tiny/my-model").parent
    assert find_backbone(bundle, tmp_path, source) == folder
    add_model(folder / "onnx")
    assert find_backbone(bundle, tmp_path, source) == folder, "the topmost one"


def test_none_and_several(tmp_path):
    bundle = tmp_path / "auxfold-tiny"
    add_model(tmp_path / "qwen3/transformers/0.6b/2")
    with pytest.raises(InputError, match="no config.json of .*/0.6b/1 below .*; attach it to the"):
        find_backbone(bundle, tmp_path, MODEL)
    for name in ("small", "large"):
        add_model(tmp_path / "my-models" / name)
    with pytest.raises(InputError, match="ada/my-models has several models: .*large, .*small"):
        find_backbone(bundle, tmp_path, "ada/my-models")
