"""DeBERTa-v2 and v3 over packed tokens give what the modules of transformers give."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from transformers import DebertaV2Config, DebertaV2Model

from auxfold.data.packing import Capacity, PackedTokens, pack_rows
from auxfold.model.adapters.injection import add_adapter, parse_adapter_settings
from auxfold.model.fast.build import build_fast_encoder
from auxfold.model.pooling import AttentionPool, mean_pool

TINY = {
    "vocab_size": 40,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 96,
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "initializer_range": 0.3,  # scores of relative positions that matter
}
V3 = {
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
    "position_biased_input": False,
    "position_buckets": 256,
    "layer_norm_eps": 1e-7,
}
CONFIGS = {
    "v3": V3,
    "v3, log buckets": {**V3, "position_buckets": 8, "max_position_embeddings": 64},
    "v2": {"position_buckets": 6, "type_vocab_size": 2},
    "v2, clamped distances": {"max_relative_positions": 5},
    "only c2p": {"pos_att_type": "c2p", "share_att_key": True},
    "only p2c": {"pos_att_type": "p2c", "share_att_key": True, "position_buckets": 4},
    "narrow embeddings": {"embedding_size": 16},
    "no relative positions": {"relative_attention": False, "pos_att_type": None},
    "other activation": {"hidden_act": "relu"},
}
LENGTHS = [7, 1, 50, 16, 2, 33]


def make_model(**changes: object) -> DebertaV2Model:
    torch.manual_seed(0)
    model = DebertaV2Model(DebertaV2Config(**{**TINY, **changes}))
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.LayerNorm):
                module.weight.normal_(1, 0.2)
                module.bias.normal_(0, 0.2)
            elif isinstance(module, nn.Linear) and module.bias is not None:
                module.bias.normal_(0, 0.2)
    return model


def make_rows(lengths: list[int] = LENGTHS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    n = sum(lengths)
    return random.integers(1, 40, n), random.integers(0, 2, n), np.array(lengths)


def pack(lengths: list[int] = LENGTHS, capacity: Capacity | None = None) -> PackedTokens:
    ids, type_ids, row_lengths = make_rows(lengths)
    return pack_rows(ids, type_ids, row_lengths, pad_token_id=0, capacity=capacity)


def reference_features(
    model: DebertaV2Model, pooling: str, pool: AttentionPool | None = None
) -> torch.Tensor:
    """The features of the module of transformers over padded rows."""
    ids, type_ids, lengths = make_rows()
    mask = torch.arange(int(lengths.max())) < torch.from_numpy(lengths)[:, None]
    padded = {}
    for name, values in (("input_ids", ids), ("token_type_ids", type_ids)):
        padded[name] = torch.zeros(mask.shape, dtype=torch.long)
        padded[name][mask] = torch.from_numpy(values)
    hidden = model(**padded, attention_mask=mask.long()).last_hidden_state
    if pool is not None:
        return pool(hidden, mask)
    if pooling == "last":
        return hidden[torch.arange(len(lengths)), torch.from_numpy(lengths) - 1].float()
    return hidden[:, 0].float() if pooling == "cls" else mean_pool(hidden, mask)


def gradients(model: nn.Module, features: torch.Tensor) -> dict[str, torch.Tensor]:
    weights = torch.linspace(-1, 1, features.numel()).view(features.shape)
    model.zero_grad()
    (features * weights).sum().backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def assert_close(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    # The gradient of a key's bias is zero but for rounding: a common scale.
    scale = max(float(value.abs().max()) for value in theirs.values())
    for name, value in theirs.items():
        size = max(float(value.abs().max()), 1e-2 * scale)
        assert float((ours[name] - value).abs().max()) <= 1e-5 * size, name


@pytest.mark.parametrize("pooling", ["cls", "last", "mean"])
@pytest.mark.parametrize("name", CONFIGS)
def test_features_and_gradients_are_those_of_the_module(name: str, pooling: str):
    model = make_model(**CONFIGS[name])
    theirs = reference_features(model, pooling)
    expected = {"features": theirs.detach(), **gradients(model, theirs)}
    encoder = build_fast_encoder(model, pooling)
    assert encoder is not None
    ours = encoder(pack())
    assert ours.dtype == torch.float32
    assert_close({"features": ours.detach(), **gradients(model, ours)}, expected)
    # Rows of padding tokens and empty rows at the end change nothing.
    filled = encoder(pack(capacity=Capacity(tokens=192, rows=12, max_length=64)))
    assert filled.shape == (12, 32) and bool(filled.isfinite().all())
    filled = filled[: len(LENGTHS)]
    assert_close({"features": filled.detach(), **gradients(model, filled)}, expected)


def test_attention_pooling():
    model, pool = make_model(**V3), AttentionPool(32)
    model.pool = pool
    theirs = reference_features(model, "attention", pool)
    expected = {"features": theirs.detach(), **gradients(model, theirs)}
    encoder = build_fast_encoder(model, "attention", pool)
    ours = encoder(pack())
    actual = {"features": ours.detach(), **gradients(model, ours)}
    # A softmax does not depend on the bias: only rounding.
    assert max(abs(float(x.pop("pool.score.bias"))) for x in (actual, expected)) < 1e-5
    assert_close(actual, expected)


@pytest.mark.parametrize("pooling", ["cls", "last", "mean"])
@pytest.mark.parametrize("name", ["v3, log buckets", "v2"])
def test_bf16_is_as_close_to_fp32_as_the_module_under_autocast(name: str, pooling: str):
    model = make_model(**{**CONFIGS[name], "initializer_range": 0.1})
    features = reference_features(model, pooling)
    exact = {"features": features.detach(), **gradients(model, features)}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        theirs = reference_features(model, pooling)
        ours = build_fast_encoder(model, pooling)(pack())
    theirs_error = error_norm({"features": theirs.detach(), **gradients(model, theirs)}, exact)
    ours_error = error_norm({"features": ours.detach(), **gradients(model, ours)}, exact)
    assert 1e-4 < theirs_error < 0.1
    assert ours_error < 1.25 * theirs_error


def error_norm(values: dict[str, torch.Tensor], exact: dict[str, torch.Tensor]) -> float:
    """The root of the mean squared relative error of the tensors that are not nearly zero."""
    scale = max(float(value.norm()) for value in exact.values())
    errors = [
        float((values[name] - value).norm() / value.norm())
        for name, value in exact.items()
        if float(value.norm()) > 1e-3 * scale
    ]
    return float(np.sqrt(np.mean(np.square(errors))))


@pytest.mark.parametrize("dropout", ["hidden_dropout_prob", "attention_probs_dropout_prob"])
def test_dropout_is_active_in_training_only(dropout: str):
    model = make_model(**V3, **{dropout: 0.3})
    encoder, packed = build_fast_encoder(model, "mean"), pack()
    model.eval()
    exact = encoder(packed)
    assert torch.equal(encoder(packed), exact)
    model.train()
    torch.manual_seed(1)
    first = encoder(packed)
    second = encoder(packed)
    torch.manual_seed(1)
    assert torch.equal(encoder(packed), first)
    assert not torch.allclose(first, second)


def test_every_dropout_of_the_module_is_applied():
    """The mean over many masks of a model in which only one dropout is active."""
    model = make_model(**V3, num_hidden_layers=1).train()
    encoder, packed = build_fast_encoder(model, "mean"), pack([5, 3])
    exact = encoder(packed)
    dropouts = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    assert len(dropouts) == 5  # embeddings, positions, attention weights, its output, feed-forward
    for module in dropouts:
        module.p = 0.5
        assert not torch.allclose(encoder(packed), exact)
        module.p = 0.0
    assert torch.equal(encoder(packed), exact)


def test_the_encoder_follows_a_copy_of_its_model():
    model = make_model(**V3)
    encoder = build_fast_encoder(model, "cls")
    encoder(pack())
    duplicate = copy.deepcopy(encoder)
    with torch.no_grad():
        model.embeddings.LayerNorm.bias += 1
    assert not torch.allclose(duplicate(pack()), encoder(pack()))


def test_inference_mode_first():
    model = make_model(**V3)
    encoder = build_fast_encoder(model, "mean")
    with torch.inference_mode():
        without_gradient = encoder(pack())
    features = encoder(pack())
    features.sum().backward()
    assert torch.equal(features.detach(), without_gradient)


def test_the_convolution_of_xlarge_is_not_supported():
    assert build_fast_encoder(make_model(conv_kernel_size=3), "cls") is None


def test_lora_changes_the_projections_of_tokens_and_positions():
    pytest.importorskip("peft")
    model = make_model(**V3)
    add_adapter(model, parse_adapter_settings({"kind": "lora", "rank": 2}))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.3)
    theirs = reference_features(model, "mean")
    expected = {"features": theirs.detach(), **gradients(model, theirs)}
    assert len(expected) == 1 + 2 * 2 * 2  # A and B of queries and values in two layers
    ours = build_fast_encoder(model, "mean")(pack())
    assert_close({"features": ours.detach(), **gradients(model, ours)}, expected)


def test_prepared_lengths_are_those_of_the_blocks():
    """Nothing is left to compute in a captured graph that needs the host."""
    encoder = build_fast_encoder(make_model(**V3), "cls")
    encoder.prepare(50)
    prepared = dict(encoder._lookups)
    encoder(pack())
    assert list(encoder._lookups) == list(prepared) == [(64, torch.device("cpu"))]
    assert all(encoder._lookups[key] is prepared[key] for key in prepared)
