"""Frozen weights in half precision: what is stored in it, and that nothing else changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from auxfold.errors import InputError
from auxfold.model.backbone import build_model, describe_parameters
from auxfold.model.frozen_linear import FrozenLinear
from auxfold.model.multitask import MultiTaskModel
from auxfold.model.number_formats import NumberFormats
from conftest import make_backbone, make_experiment
from language_models import BATCH, NESTED, make_language_model

DECODERS = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", NESTED)
ENCODERS = ("bert", "deberta-v2", "modernbert")
HEADS = {"main": 1, "aux": 2}


def make_path(folder: Path, architecture: str) -> str:
    """A backbone whose values bf16 can hold."""
    if architecture in DECODERS:
        return make_language_model(folder, architecture)
    path = make_backbone(folder, architecture)
    state = load_file(folder / "model.safetensors")
    save_weights(folder, {name: values.bfloat16().float() for name, values in state.items()})
    return path


def save_weights(folder: Path, state: dict[str, torch.Tensor]) -> None:
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def build(path: str, kind: str = "lora", **settings: object) -> MultiTaskModel:
    adapter = {"kind": kind, "dropout": 0.0} if kind == "lora" else {"kind": kind}
    experiment = make_experiment(
        "t", path, model={"backbone": path, "adapter": adapter, **settings}
    )
    torch.manual_seed(0)
    return build_model(experiment, HEADS)


def randomize(model: MultiTaskModel) -> MultiTaskModel:
    """Give everything that is trained values that do not depend on how the model was built."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.randn_like(parameter) * 0.1)
    return model


def losses_and_gradients(
    model: MultiTaskModel, amp_dtype: torch.dtype | None
) -> dict[str, torch.Tensor]:
    """A loss, and the gradient of every trained parameter by name."""
    torch.manual_seed(2)
    model.train()
    with torch.autocast("cpu", dtype=amp_dtype or torch.bfloat16, enabled=amp_dtype is not None):
        logits = model(**BATCH)
    loss = sum(values.square().sum() for values in logits.values())
    model.zero_grad()
    loss.backward()
    trained = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    return {"loss": loss.detach(), **trained}


@pytest.mark.parametrize("amp_dtype", [None, torch.bfloat16])
@pytest.mark.parametrize("architecture", [*DECODERS, *ENCODERS])
def test_not_a_bit_of_a_step_changes(tmp_path, architecture, amp_dtype):
    """Of a backbone whose published values are those of bf16."""
    path = make_path(tmp_path, architecture)
    plain, stored = randomize(build(path)), randomize(build(path, dtype="bf16"))
    expected = losses_and_gradients(plain, amp_dtype)
    ours = losses_and_gradients(stored, amp_dtype)
    assert ours.keys() == expected.keys() and expected["loss"] > 0
    for name, values in expected.items():
        assert torch.equal(ours[name], values), name


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
@pytest.mark.parametrize("architecture", ["qwen3", "gemma3_text", "bert", "modernbert"])
def test_only_linear_layers_and_token_embeddings_are_stored_in_it(tmp_path, architecture, dtype):
    model = build(make_path(tmp_path, architecture), dtype=dtype, pooling="mean")
    small = {"bf16": torch.bfloat16, "fp16": torch.float16}[dtype]
    embedding = model.backbone.get_input_embeddings()
    layers = [m for m in model.backbone.modules() if isinstance(m, FrozenLinear)]
    assert layers and {layer.weight.dtype for layer in layers} == {small}
    assert embedding.weight.dtype == small and embedding(torch.tensor([3])).dtype == torch.float32
    stored = {id(embedding.weight), *(id(layer.weight) for layer in layers)}
    others = {p.dtype for p in model.parameters() if id(p) not in stored}
    trained = {p.dtype for p in model.parameters() if p.requires_grad}
    assert others == trained == {torch.float32}
    plain = [m for m in model.backbone.modules() if type(m) is nn.Linear]
    assert plain and all(layer.weight.requires_grad for layer in plain)  # of the adapter
    assert describe_parameters(model).endswith(f"parameters, frozen in {dtype}")


@pytest.mark.parametrize("kind", ["lora", "dora", "ia3", "pfeiffer", "prefix"])
def test_every_adapter_is_stored_loaded_and_merged(tmp_path, kind):
    path = make_path(tmp_path / "backbone", "bert")
    model = randomize(build(path, kind, dtype="bf16")).eval()
    model.save_pretrained(tmp_path / "fold")
    config = json.loads((tmp_path / "fold/config.json").read_text())
    assert config["reference"]["dtype"] == "bf16"
    loaded = MultiTaskModel.from_pretrained(tmp_path / "fold")
    dtypes = {name: p.dtype for name, p in model.named_parameters()}
    assert {name: p.dtype for name, p in loaded.named_parameters()} == dtypes
    logits = model(**BATCH)["aux"]
    torch.testing.assert_close(loaded(**BATCH)["aux"], logits, atol=1e-6, rtol=0)
    merged = loaded.merge()
    assert {p.dtype for p in merged.parameters()} == {torch.float32}
    merged.save_pretrained(tmp_path / "merged")
    again = MultiTaskModel.from_pretrained(tmp_path / "merged").eval()
    assert again.config.reference is None
    assert not any(isinstance(module, FrozenLinear) for module in again.modules())
    torch.testing.assert_close(again(**BATCH)["aux"], logits, atol=1e-5, rtol=1e-4)


def test_all_weights_are_trained_without_an_adapter(tmp_path):
    path = make_backbone(tmp_path)
    for settings, name in (({"dtype": "bf16"}, "dtype = 'bf16'"),
                           ({"quantization": "nf4"}, "quantization = 'nf4'")):  # fmt: skip
        with pytest.raises(InputError, match=f"{name} is for frozen weights, and without") as error:
            make_experiment("t", path, model={"backbone": path, **settings})
        assert "\n" not in str(error.value)


def test_what_does_not_fit_is_refused(tmp_path):
    gpt2 = make_language_model(tmp_path / "gpt2", "gpt2")
    for formats in ({"dtype": "bf16"}, {"quantization": "nf4"}, {"quantization": "int8"}):
        with pytest.raises(InputError, match="'gpt2' are of a kind of their own .Conv1D., wh"):
            build(gpt2, **formats)
    llama = make_language_model(tmp_path / "llama", dtype=torch.float32)
    state = load_file(tmp_path / "llama/model.safetensors")
    state["layers.1.mlp.up_proj.weight"][0, 0] = 70_000.0
    save_weights(tmp_path / "llama", state)
    with pytest.raises(InputError, match="weight of layers.1.mlp.up_proj is larger than fp16"):
        build(llama, dtype="fp16")
    build(llama, dtype="bf16")
    config = json.loads((tmp_path / "llama/config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (tmp_path / "llama/config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="was published quantized; give the backbone that it was"):
        build(llama)


def test_formats_are_remembered():
    for formats, name in (
        (NumberFormats(), "fp32"),
        (NumberFormats("fp16"), "fp16"),
        (NumberFormats(quantization="int8"), "int8"),
        (NumberFormats("bf16", "nf4"), "nf4 and bf16"),
    ):
        assert NumberFormats.from_reference(formats.to_reference()) == formats
        assert formats.describe() == name and formats.is_plain == (name == "fp32")
    assert NumberFormats().to_reference() == {}
