"""In fp16 hidden states add up in fp32, so that those of Gemma do not overflow."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from auxfold.model import multitask
from auxfold.model.backbone import build_model
from auxfold.model.multitask import MultiTaskModel
from conftest import make_experiment
from language_models import BATCH, make_language_model

FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text")
POST_NORMS = ("gemma2", "gemma3_text")  # between a layer's output and the residual


def build(folder: Path, architecture: str, **settings: object) -> MultiTaskModel:
    """A model whose norms before the residual have weights as large as those of large Gemmas."""
    path = make_language_model(folder, architecture, torch.float32)
    adapter = {"kind": "lora", "rank": 2}
    model = {"backbone": path, "adapter": adapter, **settings}
    model = build_model(make_experiment("t", path, model=model), {"main": 2})
    with torch.no_grad():
        for name, parameter in model.backbone.named_parameters():
            if architecture in POST_NORMS and "post_" in name and "norm" in name:
                parameter.fill_(60_000.0)
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


def step(model: MultiTaskModel, amp_dtype: torch.dtype | None) -> dict[str, torch.Tensor]:
    """A loss, and the gradient of every trained parameter by name."""
    model.zero_grad()
    with torch.autocast("cpu", dtype=amp_dtype or torch.float16, enabled=amp_dtype is not None):
        logits = model(**BATCH)["main"]
    loss = logits.square().mean()
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    return {"loss": loss.detach(), **gradients}


@pytest.mark.parametrize("dtype", ["fp32", "fp16"])
@pytest.mark.parametrize("architecture", FAMILIES)
def test_loss_and_gradients_are_finite_in_fp16(tmp_path, architecture, dtype):
    model = build(tmp_path, architecture, dtype=dtype)
    in_fp16, in_fp32 = step(model, torch.float16), step(model, None)
    for name, values in in_fp16.items():
        assert values.isfinite().all(), name
        scale = in_fp32[name].abs().max()
        torch.testing.assert_close(values, in_fp32[name], atol=float(scale) / 10, rtol=0.1)


@pytest.mark.parametrize("architecture", POST_NORMS)
def test_hidden_states_are_larger_than_fp16_can_hold(tmp_path, architecture):
    backbone = build(tmp_path, architecture).backbone
    largest = backbone(**BATCH, output_hidden_states=True).hidden_states[1].abs().max()
    assert largest > torch.finfo(torch.float16).max


@pytest.mark.parametrize("architecture", POST_NORMS)
def test_without_it_they_are_not(tmp_path, monkeypatch, architecture):
    monkeypatch.setattr(multitask, "keep_residuals_fp32", lambda *_: None)
    assert not step(build(tmp_path, architecture), torch.float16)["loss"].isfinite()


def test_in_bf16_nothing_changes(tmp_path, monkeypatch):
    changed = step(build(tmp_path / "a", "gemma3_text"), torch.bfloat16)
    monkeypatch.setattr(multitask, "keep_residuals_fp32", lambda *_: None)
    unchanged = step(build(tmp_path / "b", "gemma3_text"), torch.bfloat16)
    assert all(torch.equal(changed[name], unchanged[name]) for name in changed)
