"""The BERT family and ModernBERT over packed tokens give what the modules of transformers give."""

from __future__ import annotations

import pytest
import torch

from auxfold.data.packing import Capacity
from packed_models import (
    CAPACITY,
    DROPOUTS,
    FAMILIES,
    LENGTHS,
    NO_DROPOUT,
    gradients,
    make_model,
    pack,
    padded_inputs,
    relative_error,
)

HAVE_NO_POOLER = ("electra", "distilbert", "modernbert")
CASES = [
    (family, pooling)
    for family in FAMILIES
    for pooling in ("cls", "last", "mean", "attention", "pooler")
    if pooling != "pooler" or family not in HAVE_NO_POOLER
]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize(("family", "pooling"), CASES)
def test_features_and_gradients_are_those_of_the_module(family, pooling, attention):
    if family == "mpnet" and attention == "sdpa":
        pytest.skip("MPNet of transformers has no such attention")
    model = make_model(family, pooling, **NO_DROPOUT)
    model.backbone.set_attn_implementation(attention)
    has_types = family in ("bert", "electra")
    theirs = model.features(**padded_inputs(has_types))
    their_gradients = gradients(model, theirs)
    every_row = model.packed_features(pack(has_types))
    ours = every_row[: len(LENGTHS)]
    assert every_row.shape == (CAPACITY.rows, 16) and every_row.isfinite().all()
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    assert relative_error(gradients(model, ours), their_gradients) < 1e-5


@pytest.mark.parametrize("family", ["roberta", "mpnet"])
def test_padding_within_a_text_does_not_count_as_a_position(family):
    model = make_model(family).eval()
    padding = model.backbone.embeddings.padding_idx
    inputs = padded_inputs()
    inputs["input_ids"][2, 4] = padding
    packed = pack()
    packed.input_ids[sum(LENGTHS[:2]) + 4] = padding
    torch.testing.assert_close(
        model.packed_features(packed)[: len(LENGTHS)], model.features(**inputs), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("family", ["bert", "modernbert", "mpnet"])
def test_bf16_is_as_near_to_fp32_as_the_module(family):
    model = make_model(family, **NO_DROPOUT)
    exact = model.features(**padded_inputs())
    exact_gradients = gradients(model, exact)
    errors = []
    for run in (lambda: model.features(**padded_inputs()), lambda: model.packed_features(pack())):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            features = run()[: len(LENGTHS)]
        ours = gradients(model, features)
        assert features.dtype == torch.float32
        assert all(gradient.dtype == torch.float32 for gradient in ours.values())
        distance = sum(float((ours[n] - g).square().sum()) for n, g in exact_gradients.items())
        errors.append((float((features - exact).detach().norm()), distance**0.5))
    (their_error, their_gradient_error), (our_error, our_gradient_error) = errors
    assert our_error < 1.2 * their_error
    assert our_gradient_error < 1.2 * their_gradient_error


def test_filler_that_is_longer_than_the_table_of_positions_is_harmless():
    model = make_model("bert", max_position_embeddings=12).eval()
    packed = pack(capacity=Capacity(tokens=64, rows=10, max_length=24))
    torch.testing.assert_close(
        model.packed_features(packed)[: len(LENGTHS)],
        model.features(**padded_inputs()),
        atol=1e-5,
        rtol=0,
    )


@pytest.mark.parametrize("family", ["bert", "mpnet", "distilbert", "modernbert"])
def test_dropout_is_random_in_training_and_its_mean_is_right(family):
    model = make_model(family, **dict.fromkeys(DROPOUTS, 0.1))
    packed = pack()
    model.eval()
    exact = model.packed_features(packed)
    assert torch.equal(exact, model.packed_features(packed))
    model.train()
    torch.manual_seed(0)
    with torch.no_grad():
        ours = torch.stack([model.packed_features(packed) for _ in range(100)])[:, : len(LENGTHS)]
        theirs = torch.stack([model.features(**padded_inputs()) for _ in range(100)])
    assert not torch.equal(ours[0], ours[1])
    # Both means move away from the exact value in the same way, since the model is not linear.
    noise = theirs.std(0) * (2 / 100) ** 0.5
    assert float(((ours.mean(0) - theirs.mean(0)) / noise).abs().max()) < 5
    assert 0.8 < float(ours.std(0).mean() / theirs.std(0).mean()) < 1.25
