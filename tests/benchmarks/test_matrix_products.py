"""The arithmetic of matrix products, on cases small enough to compute by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModel

from benchmarks.matrix_products import (
    Attention,
    EncoderShape,
    ProductRunner,
    matrix_rate,
    model_flops,
)
from conftest import ARCHITECTURES, TINY_CONFIG

CPU = torch.device("cpu")


def test_flops_by_hand():
    shape = EncoderShape(linears=[(2, 3), (3, 5)], attentions=[Attention(n_heads=2, head_size=4)])
    lengths = np.array([3, 1])
    linear = 2 * (2 * 3 + 3 * 5) * 4
    attention = 2 * (3 * 3 + 1 * 1) * 8 * 2  # scores and sums
    assert model_flops(shape, lengths, backward=False) == linear + attention == 168 + 320
    assert model_flops(shape, lengths, backward=True) == 3 * 488


def test_deberta_has_three_scores_per_pair():
    shape = EncoderShape([], [Attention(n_heads=1, head_size=4, n_scores=3)])
    assert model_flops(shape, np.array([5]), backward=False) == 2 * 25 * 4 * (3 + 1)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 9])
def test_pairs_within_a_window(length):
    near = [abs(i - j) <= 2 for i in range(length) for j in range(length)]
    assert Attention(1, 1, window=2).n_pairs(np.array([length])) == sum(near)


def make_backbone(architecture: str):
    settings = {**TINY_CONFIG, **ARCHITECTURES[architecture]}
    config = AutoConfig.for_model(architecture, **settings)
    return AutoModel.from_config(config, attn_implementation="eager")


@pytest.mark.parametrize("architecture", ["bert", "roberta", "electra", "mpnet", "modernbert"])
def test_flops_are_those_that_torch_counts(architecture):
    """Rows of equal length have no padding. The pooler's product is left out of both."""
    backbone = make_backbone(architecture).eval()
    if getattr(backbone, "pooler", None) is not None:
        backbone.pooler = None
    shape = EncoderShape.of(backbone)
    input_ids = torch.full((3, 7), 5)
    with FlopCounterMode(display=False) as counter:
        hidden = backbone(input_ids=input_ids, attention_mask=torch.ones_like(input_ids))[0]
    expected = model_flops(shape, np.full(3, 7), backward=False)
    if architecture == "modernbert":  # some releases make the angles of positions by a product
        assert counter.get_total_flops() == pytest.approx(expected, rel=1e-3)
    else:
        assert counter.get_total_flops() == expected
    if architecture in ("bert", "roberta"):  # their embeddings need the gradient of every product
        with FlopCounterMode(display=False) as counter:
            hidden.sum().backward()
        assert counter.get_total_flops() == 2 * expected


def test_local_layers_of_modernbert_have_a_window():
    windows = [
        attention.window for attention in EncoderShape.of(make_backbone("modernbert")).attentions
    ]
    assert windows == [None, 64]


@pytest.mark.parametrize("backward", [False, True])
def test_the_runner_multiplies_what_the_arithmetic_says(backward):
    shape = EncoderShape(
        linears=[(8, 12), (12, 8)], attentions=[Attention(2, 4), Attention(2, 4, n_scores=3)]
    )
    runner = ProductRunner(shape, torch.float32, CPU)
    batches = [np.full(3, 5), np.full(2, 9)]
    with FlopCounterMode(display=False) as counter:
        runner.run(batches, backward)
    expected = sum(model_flops(shape, lengths, backward) for lengths in batches)
    assert counter.get_total_flops() == expected
    assert runner.seconds(batches, backward) > 0


def test_attention_is_padded_to_the_longest_row_and_linear_layers_are_not():
    shape = EncoderShape(linears=[(8, 8)], attentions=[Attention(2, 4)])
    with FlopCounterMode(display=False) as counter:
        ProductRunner(shape, torch.float32, CPU).run([np.array([2, 6])], backward=False)
    assert counter.get_total_flops() == 2 * 8 * 8 * 8 + 2 * (2 * 6 * 6) * 8 * 2


def test_the_rate_is_positive():
    assert matrix_rate(CPU, torch.float32, seconds=0.01) > 0
