"""The files of a backbone that transformers would load, and no others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from transformers import AutoModel

from auxfold.model.published_files import list_published_files
from conftest import make_backbone


def names_of(path: str | Path) -> list[str]:
    return [file.name for file in list_published_files(str(path))]


def shard(folder: Path) -> list[str]:
    """Store the weights of a folder in several files; their names."""
    model = AutoModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="5KB")
    return sorted(path.name for path in folder.glob("model-*.safetensors"))


def test_one_file_precedes_others(tmp_path):
    make_backbone(tmp_path)
    state = AutoModel.from_pretrained(tmp_path).state_dict()
    torch.save(state, tmp_path / "pytorch_model.bin")
    (tmp_path / "README.md").write_text("A backbone.")
    assert names_of(tmp_path) == ["config.json", "model.safetensors"]
    (tmp_path / "model.safetensors").unlink()
    assert names_of(tmp_path) == ["config.json", "pytorch_model.bin"]
    (tmp_path / "pytorch_model.bin").unlink()
    with pytest.raises(OSError, match="has no model.safetensors and no pytorch_model.bin"):
        list_published_files(str(tmp_path))


def test_shards_come_with_their_index(tmp_path):
    make_backbone(tmp_path)
    shards = shard(tmp_path)
    assert len(shards) > 1
    assert names_of(tmp_path) == ["config.json", "model.safetensors.index.json", *shards]
    (tmp_path / shards[1]).unlink()
    with pytest.raises(OSError, match=shards[1]):
        list_published_files(str(tmp_path))


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/passwd", "notes.txt", ""])
def test_an_index_leads_to_no_other_file(tmp_path, name):
    make_backbone(tmp_path / "b")
    (tmp_path / "secret.safetensors").write_text("s")
    shard(tmp_path / "b")
    index = tmp_path / "b/model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(ValueError, match="which is no file next to it"):
        list_published_files(str(tmp_path / "b"))


def test_a_name_on_the_hub_is_read_from_its_cache(tmp_path, monkeypatch):
    snapshot = tmp_path / "models--ada--tiny/snapshots/0123"
    make_backbone(snapshot)
    (tmp_path / "models--ada--tiny/refs").mkdir()
    (tmp_path / "models--ada--tiny/refs/main").write_text("0123")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert list_published_files("ada/tiny") == [
        snapshot / "config.json", snapshot / "model.safetensors"
    ]  # fmt: skip
