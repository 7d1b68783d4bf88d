"""How deep the parameters of a backbone lie, whatever they are called."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoConfig, AutoModel, PreTrainedModel

from auxfold.model.layers import layer_depths
from conftest import ARCHITECTURES, TINY_CONFIG

# The outermost list of layers of architectures with others than `encoder.layer`.
LISTS = {
    "modernbert": "layers", "llama": "layers", "qwen3": "layers", "gemma3_text": "layers",
    "gpt2": "h", "distilbert": "transformer.layer", "xlnet": "layer", "xlm": "attentions",
}  # fmt: skip
GROUPED = {"num_key_value_heads": 1, "head_dim": 8}
SIZES = {
    "qwen3": GROUPED,
    "gemma3_text": GROUPED,
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64},
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    "xlnet": {"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 32},
    "xlm": {"emb_dim": 16, "n_layers": 2, "n_heads": 2},
}
# What is not in a layer: whether all layers depend on it (2), or none (0).
OUTSIDE = {
    "bert": {"embeddings.position_embeddings.weight": 2, "embeddings.LayerNorm.weight": 2,
             "pooler.dense.weight": 0},
    "deberta-v2": {"encoder.rel_embeddings.weight": 2},
    "electra": {"embeddings_project.weight": 2, "embeddings_project.bias": 2},
    "mpnet": {"encoder.relative_attention_bias.weight": 2},
    "modernbert": {"embeddings.norm.weight": 2, "final_norm.weight": 0},
    "llama": {"norm.weight": 0},
    "gpt2": {"wpe.weight": 2, "ln_f.weight": 0, "ln_f.bias": 0},
    "xlm": {"position_embeddings.weight": 2, "layer_norm_emb.weight": 2},
}  # fmt: skip


def make_model(architecture: str, **changes) -> PreTrainedModel:
    sizes = {**TINY_CONFIG, **ARCHITECTURES.get(architecture, {}), **SIZES.get(architecture, {})}
    if architecture == "xlnet":  # which has no limit
        del sizes["max_position_embeddings"]
    return AutoModel.from_config(AutoConfig.for_model(architecture, **{**sizes, **changes}))


@pytest.mark.parametrize(
    "architecture", [*sorted(set(ARCHITECTURES) - {"albert"}), *list(LISTS)[1:]]
)
def test_depths(architecture):
    backbone = make_model(architecture).train()
    depths = layer_depths(backbone)
    assert depths is not None and depths.keys() == dict(backbone.named_parameters()).keys()
    path = LISTS.get(architecture, "encoder.layer")
    for number in (0, 1):
        prefix = f"{path}.{number}."
        assert {depths[name] for name in depths if name.startswith(prefix)} == {1 - number}
    tables = {
        name: module
        for name, module in backbone.named_modules()
        if isinstance(module, torch.nn.Embedding) and not name.startswith(path)
    }
    assert tables and {depths[f"{name}.weight"] for name in tables} == {2}
    for name, depth in OUTSIDE.get(architecture, {}).items():
        assert depths[name] == depth, name
    assert backbone.training and not any(m._forward_hooks for m in backbone.modules())


def test_what_the_second_layer_reads_first_has_its_neighbor_rate():
    """DeBERTa's convolution runs after the first layer."""
    depths = layer_depths(make_model("deberta-v2", conv_kernel_size=3, conv_act="gelu"))
    assert depths is not None
    convolution = {depth for name, depth in depths.items() if name.startswith("encoder.conv.")}
    assert convolution in ({1}, {2})


def test_only_what_is_trained_counts():
    backbone = make_model("llama").requires_grad_(False)
    backbone.layers[1].mlp.requires_grad_(True)
    assert layer_depths(backbone) == {
        f"layers.1.mlp.{name}.weight": 0 for name in ("gate_proj", "up_proj", "down_proj")
    }


def test_layers_that_share_weights_or_run_in_another_order_have_no_depths():
    assert layer_depths(make_model("albert")) is None
    assert layer_depths(make_model("albert", num_hidden_layers=1)) is not None
    shared = make_model("llama")
    shared.layers[1].mlp.up_proj = shared.layers[0].mlp.up_proj
    assert layer_depths(shared) is None
    backwards = make_model("bert")
    layers = backwards.encoder.layer
    backwards.encoder.layer = type(layers)(layers)
    backwards.encoder.layer.__class__ = type("Backwards", (type(layers),), {"__iter__": _backwards})
    assert layer_depths(backwards) is None


def _backwards(layers):
    return (layers[number] for number in reversed(range(len(layers))))
