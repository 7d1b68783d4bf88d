"""The arithmetic of memory, with numbers computed by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from auxfold.model.memory import layer_bytes, models_fit, prediction_tokens, training_tokens

BERT = SimpleNamespace(hidden_size=768, intermediate_size=3072, num_attention_heads=12,
                       num_hidden_layers=12, _attn_implementation="sdpa")  # fmt: skip


def make_backbone_of(attention: str = "sdpa", n_parameters: int = 0) -> SimpleNamespace:
    config = SimpleNamespace(**{**vars(BERT), "_attn_implementation": attention})
    weights = [nn.Parameter(torch.zeros(n_parameters)), nn.Parameter(torch.zeros(9), False)]
    return SimpleNamespace(config=config, parameters=lambda: iter(weights))


def test_the_bytes_of_a_token_by_hand():
    # 20 * 768 + 2 * (4 * 768 + 3 * 3072)
    assert layer_bytes(BERT, 2, 512, has_scores=False) == 15_360 + 24_576
    # and 12 heads with 512 scores of 6 * 2 + 4 bytes
    assert layer_bytes(BERT, 2, 512, has_scores=True) == 39_936 + 98_304
    # 20 * 768 + 4 * (4 * 768 + 3 * 3072)
    assert layer_bytes(BERT, 4, 128, has_scores=False) == 15_360 + 49_152


def test_distilbert_and_others_name_the_width_of_the_feed_forward_otherwise():
    config = SimpleNamespace(hidden_size=10, hidden_dim=30, intermediate_size=None)
    assert layer_bytes(config, 2, 8, has_scores=False) == 200 + 2 * (40 + 90)
    del config.hidden_dim
    assert layer_bytes(config, 2, 8, has_scores=False) == 200 + 2 * (40 + 120)


@pytest.mark.parametrize(
    ("attention", "free", "expected"),
    [
        # 3 GB / 3 / 39,936 bytes = 25,040 tokens: 24 * 1024 = 24,576
        ("sdpa", 3e9, 24_576),
        # 3 GB / 3 / 138,240 bytes = 7,233 tokens
        ("eager", 3e9, 7_168),
        ("sdpa", 80e9, 32_768),
        ("eager", 1e6, 1_024),
    ],
)
def test_tokens_of_a_prediction(attention, free, expected):
    assert prediction_tokens(make_backbone_of(attention), "bf16", 512, int(free)) == expected


def test_tokens_of_a_training_step_leave_room_for_gradients_and_moments():
    # (24 GB - 12 * 1e6) / 3 / (12 layers * 39,936 bytes) = 16,685 tokens
    backbone = make_backbone_of(n_parameters=1_000_000)
    assert training_tokens(backbone, "bf16", 512, int(24e9)) == 16_384
    assert training_tokens(backbone, "bf16", 512, int(12e6)) == 1_024


def test_models_that_fit():
    model = nn.Linear(10, 10, bias=False)  # 400 bytes, 600 with its copy in half precision
    assert least_memory_for(model, 4, has_copies=True, shares_frozen=False) == 7_200
    assert least_memory_for(model, 4, has_copies=False, shares_frozen=False) == 4_800
    assert models_fit(model, 0, free_bytes=0, has_copies=True, shares_frozen=False)


def test_models_share_what_is_frozen():
    model = nn.Sequential(nn.Linear(10, 10, bias=False), nn.Linear(10, 1, bias=False))
    model[0].requires_grad_(False)  # 400 bytes; the other one has 40
    needed = {
        (copies, shared): least_memory_for(model, 1, has_copies=copies, shares_frozen=shared)
        for copies in (False, True)
        for shared in (False, True)
    }
    assert needed == {
        (False, False): 3 * 440,
        (False, True): 3 * 40,
        (True, False): 3 * (440 + 220),
        (True, True): 3 * (40 + 220),
    }


def least_memory_for(model: nn.Module, n_models: int, **options: bool) -> int:
    """The fewest free bytes with which more such models fit."""
    return next(n for n in range(10_000) if models_fit(model, n_models, n, **options))
