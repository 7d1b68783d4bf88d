"""Which backbones run on packed tokens, and that the model stays the same otherwise."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from auxfold.model.backbone import build_model
from auxfold.model.fast.build import build_fast_encoder
from conftest import make_backbone, make_experiment
from packed_models import LENGTHS, make_model, pack, padded_inputs


def make_adapter_model(folder, **adapter: object):
    path = make_backbone(folder)
    settings = {"backbone": path, "adapter": adapter}
    return build_model(make_experiment("t", path, model=settings), {"main": 1}).eval()


@pytest.mark.parametrize("kind", ["pfeiffer", "houlsby", "prefix"])
def test_bottlenecks_and_prefixes_are_left_to_the_module(tmp_path, kind):
    model = make_adapter_model(tmp_path, kind=kind)
    assert model.fast_encoder() is None
    with pytest.raises(ValueError, match="padded batches"):
        model(packed=pack())


@pytest.mark.parametrize("kind", ["lora", "dora", "ia3"])
def test_adapters_of_peft_run_on_packed_tokens(tmp_path, kind):
    model = make_adapter_model(tmp_path, kind=kind)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and "magnitude" not in name:
                parameter.normal_(0, 0.3)
    theirs, ours = model(**padded_inputs()), model(packed=pack())
    torch.testing.assert_close(ours["main"][: len(LENGTHS)], theirs["main"], atol=1e-5, rtol=0)
    ours["main"].sum().backward()
    assert all(p.requires_grad == (p.grad is not None) for p in model.parameters())
    # Merged, the layers are plain ones.
    model.merge()
    merged = model(packed=pack())["main"][: len(LENGTHS)]
    torch.testing.assert_close(merged, theirs["main"], atol=1e-5, rtol=0)


def test_other_architectures_and_settings_are_left_to_the_module():
    backbone = make_model("bert").backbone
    assert build_fast_encoder(backbone, "mean") is not None
    backbone.set_attn_implementation("eager")  # the only one with attention weights
    for name in ("output_attentions", "output_hidden_states", "is_decoder"):
        changed = copy.deepcopy(backbone)
        setattr(changed.config, name, True)
        assert build_fast_encoder(changed, "mean") is None, name
    changed = copy.deepcopy(backbone)
    changed.gradient_checkpointing_enable()
    assert build_fast_encoder(changed, "mean") is None
    changed = copy.deepcopy(backbone)
    changed.config.model_type = "albert"
    assert build_fast_encoder(changed, "mean") is None


def test_a_hook_that_comes_later_ends_it():
    model = make_model("bert")
    assert model.fast_encoder() is model.fast_encoder() is not None
    handle = model.backbone.encoder.layer[0].register_forward_hook(lambda *_: None)
    assert model.fast_encoder() is None
    handle.remove()
    assert model.fast_encoder() is not None


def test_the_state_dict_does_not_change():
    model = make_model("bert", "attention")
    names, parameters = list(model.state_dict()), list(model.parameters())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model(packed=pack())
    assert list(model.state_dict()) == names
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copied_model_uses_its_parameters(duplicate):
    model = make_model("bert").eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        before = model(packed=pack())["main"]
        copied = duplicate(model)
        with torch.no_grad():
            copied.backbone.encoder.layer[0].output.dense.weight.add_(1.0)
        assert torch.equal(model(packed=pack())["main"], before)
        assert not torch.equal(copied(packed=pack())["main"], before)


def test_only_the_named_heads_are_computed():
    model = make_model("bert").eval()
    packed = pack()
    assert list(model(packed=packed, tasks=["main"])) == ["main"]
    assert torch.equal(model(packed=packed, task="main"), model(packed=packed)["main"])
    theirs = model(**padded_inputs())["main"]
    torch.testing.assert_close(model(packed=packed)["main"][: len(LENGTHS)], theirs)
