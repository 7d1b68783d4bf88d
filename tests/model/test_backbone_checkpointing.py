"""Gradient checkpointing: the same gradients from less memory, or one line."""

from __future__ import annotations

import pytest
import torch

from auxfold.errors import InputError
from auxfold.model.backbone import build_model, runs_padding_free
from auxfold.model.dropout import BitDropout
from auxfold.model.multitask import MultiTaskModel
from conftest import make_backbone, make_experiment
from language_models import BATCH, make_language_model

DECODERS = ("llama", "qwen3", "gemma3_text", "mistral")


def build(path: str, checkpointing: bool, **settings: object) -> MultiTaskModel:
    settings = {"backbone": path, "attention_dropout": 0.1, **settings}
    train = {"gradient_checkpointing": checkpointing}
    torch.manual_seed(0)
    return build_model(make_experiment("t", path, model=settings, train=train), {"main": 2}).train()


def step(model: MultiTaskModel) -> tuple[dict[str, torch.Tensor], int]:
    """The gradients by name, and the bytes that the forward pass has saved for them."""
    sizes: dict[int, int] = {}

    def record(tensor: torch.Tensor) -> torch.Tensor:
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    torch.manual_seed(1)
    with BitDropout():  # as in training on a CPU
        with torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
            loss = model(**BATCH)["main"].square().sum()
        saved = sum(sizes.values())
        loss.backward()
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return gradients, saved


@pytest.mark.parametrize("adapter", [None, {"kind": "lora", "dropout": 0.1}])
@pytest.mark.parametrize("architecture", [*DECODERS, "bert", "deberta-v2", "modernbert"])
def test_not_a_bit_of_the_gradients_changes(tmp_path, architecture, adapter):
    """With dropout, whose masks are drawn again."""
    make = make_language_model if architecture in DECODERS else make_backbone
    path = make(tmp_path, architecture)
    if architecture == "deberta-v2":
        adapter = adapter and {**adapter, "target_modules": ["query_proj"]}
    expected, all_saved = step(build(path, False, adapter=adapter))
    gradients, saved = step(build(path, True, adapter=adapter))
    assert saved < all_saved / 2
    assert gradients.keys() == expected.keys()
    for name, values in expected.items():
        assert torch.equal(gradients[name], values), name


def test_it_needs_padded_batches(tmp_path):
    path = make_backbone(tmp_path)
    experiment = make_experiment("t", path, model={"padding_free": "on"})
    assert runs_padding_free(build(path, False), experiment.model, "cpu")
    with pytest.raises(InputError, match="model.padding_free = 'on': there is no padding-free"):
        runs_padding_free(build(path, True), experiment.model, "cpu")
    automatic = make_experiment("t", path)
    assert not runs_padding_free(build(path, True), automatic.model, "cuda")


def test_what_does_not_support_it_is_refused(tmp_path):
    path = make_backbone(tmp_path)
    with pytest.raises(InputError, match="gradient_checkpointing: 'bert' does not support it with"):
        build(path, True, adapter={"kind": "prefix"})
