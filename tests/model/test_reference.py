"""A backbone is the published one however it was saved, and however it is loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from auxfold.errors import InputError
from auxfold.model.backbone import build_model
from auxfold.model.multitask import MultiTaskModel
from auxfold.model.number_formats import NumberFormats
from auxfold.model.reference import make_reference, parameters_sha256, tensors_sha256
from conftest import make_backbone, make_experiment
from language_models import make_language_model

BATCH = {"input_ids": torch.tensor([[2, 7, 8, 9, 3]])}


def test_copies_of_the_same_values_are_the_same_backbone(tmp_path):
    path = Path(make_language_model(tmp_path / "bf16"))
    digest = tensors_sha256(str(path))
    backbone = AutoModel.from_pretrained(path, dtype="auto")
    backbone.save_pretrained(tmp_path / "parts", max_shard_size="4KB")
    backbone.float().save_pretrained(tmp_path / "fp32")
    backbone.save_pretrained(tmp_path / "torch")
    (tmp_path / "torch/model.safetensors").unlink()
    torch.save(backbone.state_dict(), tmp_path / "torch/pytorch_model.bin")
    assert (tmp_path / "parts/model.safetensors.index.json").exists()
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    state = load_file(path / "model.safetensors")
    renamed = {f"model.{name}": values for name, values in state.items()}
    twice = {**renamed, "head.weight": renamed["model.embed_tokens.weight"].clone()}
    (tmp_path / "names").mkdir()
    shutil.copy(path / "config.json", tmp_path / "names")
    save_file(twice, tmp_path / "names/model.safetensors", metadata={"format": "pt"})
    for copy in ("parts", "fp32", "torch", "names"):
        assert tensors_sha256(str(tmp_path / copy)) == digest, copy


def test_any_other_value_or_shape_is_another_backbone(tmp_path):
    path = Path(make_language_model(tmp_path))
    digest, state = tensors_sha256(str(path)), load_file(path / "model.safetensors")
    name = "layers.1.mlp.up_proj.weight"
    flipped = state[name].clone()
    flipped.view(torch.int16)[3, 5] ^= 1  # one bit
    for changed in (flipped, state[name].T.contiguous(), state[name].reshape(16, 32)):
        save_file({**state, name: changed}, path / "model.safetensors", metadata={"format": "pt"})
        assert tensors_sha256(str(path)) != digest
    del state[name]
    save_file(state, path / "model.safetensors", metadata={"format": "pt"})
    assert tensors_sha256(str(path)) != digest


@pytest.mark.parametrize(
    "formats", [{}, {"dtype": "bf16"}, {"dtype": "fp16", "quantization": "nf4"}], ids=str
)
def test_it_does_not_depend_on_number_formats(tmp_path, formats):
    path = make_language_model(tmp_path)
    adapter = {"kind": "lora"}
    experiment = make_experiment("t", path, model={"backbone": path, "adapter": adapter, **formats})
    reference = build_model(experiment, {"main": 1}).config.reference
    assert reference == {"name": path, "tensors_sha256": tensors_sha256(path), **formats}


def test_a_fold_of_an_earlier_version_is_checked_by_its_parameters(tmp_path):
    path = make_backbone(tmp_path / "backbone")
    model = {"backbone": path, "adapter": {"kind": "lora"}}
    model = build_model(make_experiment("t", path, model=model), {"main": 1}).eval()
    model.save_pretrained(tmp_path / "fold")
    digest = parameters_sha256(AutoModel.from_pretrained(path))
    config = json.loads((tmp_path / "fold/config.json").read_text())
    for sha256, is_right in ((digest, True), (digest[::-1], False)):
        config["reference"] = {"name": path, "sha256": sha256}
        (tmp_path / "fold/config.json").write_text(json.dumps(config))
        if is_right:
            loaded = MultiTaskModel.from_pretrained(tmp_path / "fold")
            torch.testing.assert_close(loaded(**BATCH)["main"], model(**BATCH)["main"])
            continue
        with pytest.raises(InputError, match="is not the one that this fold's adapter was trained"):
            MultiTaskModel.from_pretrained(tmp_path / "fold")


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(InputError, match="an adapter cannot refer to the backbone"):
        make_reference(str(tmp_path), NumberFormats())
