"""Frozen weights of 8 and 4 bits: their values, what is trained, and what is stored."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path

import bitsandbytes
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoModel

from auxfold.errors import InputError
from auxfold.model.amp import cast_linear_layers
from auxfold.model.backbone import build_model, describe_parameters
from auxfold.model.frozen_linear import FrozenLinear
from auxfold.model.multitask import MultiTaskModel
from auxfold.model.quantization import Int8Linear, Nf4Linear, n_values, require_bitsandbytes
from conftest import make_backbone, make_experiment
from language_models import BATCH, NESTED, make_language_model

BOTTLENECKS = ("pfeiffer", "houlsby")
KINDS = ("lora", "dora", "ia3", *BOTTLENECKS)
QUANTIZATIONS = ("int8", "nf4")


def build(path: str, quantization: str, kind: str = "lora", **settings: object) -> MultiTaskModel:
    adapter = {"kind": kind, **({"reduction_factor": 2} if kind in BOTTLENECKS else {})}
    model = {"backbone": path, "adapter": adapter, "quantization": quantization, **settings}
    torch.manual_seed(0)
    return build_model(make_experiment("t", path, model=model), {"main": 2})


def randomize(model: MultiTaskModel) -> MultiTaskModel:
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


@pytest.mark.parametrize("architecture", ["llama", "qwen3", "gemma3_text", "bert", "modernbert"])
@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_weights_are_those_of_bitsandbytes(tmp_path, architecture, quantization):
    is_encoder = architecture in ("bert", "modernbert")
    make = make_backbone if is_encoder else make_language_model
    path = make(tmp_path, architecture)
    model = build(path, quantization, pooling="mean")
    published = AutoModel.from_pretrained(path, dtype="auto")
    layers = {n: m for n, m in model.backbone.named_modules() if isinstance(m, FrozenLinear)}
    names = {name for name, m in published.named_modules() if isinstance(m, nn.Linear)}
    assert {name.removesuffix(".base_layer") for name in layers} == {
        name for name in names if not name.startswith("pooler.")
    }
    for name, layer in layers.items():
        weight = published.get_submodule(name.removesuffix(".base_layer")).weight.detach()
        if quantization == "int8":
            quantized, scales, _ = bitsandbytes.functional.int8_vectorwise_quant(weight.half())
            assert torch.equal(layer.weight, quantized)
            expected = bitsandbytes.functional.int8_vectorwise_dequant(quantized, scales)
            tolerance = float(weight.abs().max()) / 127
        else:
            packed, state = bitsandbytes.functional.quantize_4bit(
                weight, quant_type="nf4", compress_statistics=True
            )
            assert torch.equal(layer.weight, packed)
            expected = bitsandbytes.functional.dequantize_4bit(packed, state)
            tolerance = float(weight.abs().max()) / 4
        ours = layer.dequantize(torch.float32)
        torch.testing.assert_close(ours, expected.float(), atol=1e-6, rtol=1e-2)
        assert 0 < (ours - weight.float()).abs().max() < tolerance
        assert n_values(layer.weight) == weight.numel()
    assert describe_parameters(model).endswith(f"frozen in {quantization}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_a_step_trains_the_adapter_and_the_heads_in_fp32(tmp_path, quantization, kind):
    model = build(make_backbone(tmp_path), quantization, kind).train()
    before = {name: values.clone() for name, values in model.state_dict().items()}
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert {p.dtype for p in trained.values()} == {torch.float32}
    optimizer = torch.optim.Adam(trained.values(), eps=1e-30)
    for _ in range(2):  # the first leaves LoRA's A as it is, behind a B of zeros
        optimizer.zero_grad()
        model(**BATCH)["main"].square().sum().backward()
        optimizer.step()
    changed = {name for name, v in model.state_dict().items() if not torch.equal(v, before[name])}
    assert changed == trained.keys()


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_the_text_part_of_a_model_is_quantized(tmp_path, quantization):
    model = build(make_language_model(tmp_path / "backbone", NESTED), quantization).eval()
    layers = [m for m in model.backbone.modules() if isinstance(m, FrozenLinear)]
    assert len(layers) == 14 and model.backbone.config.model_type == "gemma3_text"
    model.save_pretrained(tmp_path / "fold")
    loaded = MultiTaskModel.from_pretrained(tmp_path / "fold")
    logits = model(**BATCH)["main"]
    torch.testing.assert_close(loaded(**BATCH)["main"], logits, atol=1e-6, rtol=0)


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_a_row_does_not_depend_on_its_batch(tmp_path, quantization):
    """With activations as large as the outliers that the layers of bitsandbytes look for."""
    path = make_language_model(tmp_path)
    model = build(path, quantization).eval()
    with torch.no_grad():
        model.backbone.get_input_embeddings().weight[11] *= 1000
    alone = model(input_ids=BATCH["input_ids"][:1])["main"]
    together = model(**BATCH)["main"][:1]
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_it_is_stored_small_loaded_and_merged(tmp_path, quantization, kind):
    path = make_backbone(tmp_path / "backbone")
    model = randomize(build(path, quantization, kind, dtype="bf16")).eval()
    model.save_pretrained(tmp_path / "fold")
    stored = load_file(tmp_path / "fold/model.safetensors")
    assert stored.keys() == {name for name, p in model.named_parameters() if p.requires_grad}
    config = json.loads((tmp_path / "fold/config.json").read_text())
    assert (
        config["reference"] | {"quantization": quantization, "dtype": "bf16"} == config["reference"]
    )
    assert "quantization_config" not in config["backbone"]
    logits = model(**BATCH)["main"]
    loaded = MultiTaskModel.from_pretrained(tmp_path / "fold", dtype=torch.float32)
    for other in (loaded, copy.deepcopy(loaded)):
        torch.testing.assert_close(other(**BATCH)["main"], logits, atol=1e-6, rtol=0)
    merged = loaded.merge()
    assert {p.dtype for p in merged.parameters()} == {torch.float32}
    merged.save_pretrained(tmp_path / "merged")
    Path(path).rename(tmp_path / "gone")
    again = MultiTaskModel.from_pretrained(tmp_path / "merged").eval()
    assert not any(isinstance(module, FrozenLinear) for module in again.modules())
    torch.testing.assert_close(again(**BATCH)["main"], logits, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("quantization", "layer"), [("int8", Int8Linear), ("nf4", Nf4Linear)])
def test_a_quantized_weight_survives_a_change_of_number_format(tmp_path, quantization, layer):
    """As of the linear layers for predictions on a GPU."""
    model = build(make_backbone(tmp_path), quantization)
    layers = [m for m in model.backbone.modules() if isinstance(m, layer)]
    before = [m.dequantize(torch.float32) for m in layers]
    model.to(torch.bfloat16).float()
    cast_linear_layers(model.backbone, "fp16")
    after = [m.dequantize(torch.float32) for m in layers]
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))


def test_a_missing_package_and_a_device_without_support_are_one_line(monkeypatch):
    def fail(values: torch.Tensor) -> None:
        raise RuntimeError("no kernel image is available\nfor this device")

    with monkeypatch.context() as patch:
        patch.setattr(bitsandbytes.functional, "quantize_blockwise", fail)
        with pytest.raises(InputError, match="bitsandbytes .* does not run on this cpu") as error:
            require_bitsandbytes("model.quantization = 'nf4'", torch.device("cpu"))
    assert "(no kernel image is available)" in str(error.value) and "\n" not in str(error.value)
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(InputError, match=r"needs the package bitsandbytes; run: pip install 'aux"):
        require_bitsandbytes("model.quantization = 'nf4'", torch.device("cpu"))
