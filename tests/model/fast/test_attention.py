"""Attention within rows: nothing is read from other rows, and empty rows are harmless."""

from __future__ import annotations

import pytest
import torch

from auxfold.model.fast.attention import attend, packed_attention_runs
from auxfold.model.fast.context import ForwardContext
from packed_models import CAPACITY, LENGTHS, pack


def reference(query, key, value, window=None, bias=None):
    outputs, start = [], 0
    for n in LENGTHS:
        q, k, v = (x[start : start + n].transpose(0, 1) for x in (query, key, value))
        scores = q @ k.transpose(1, 2) * q.shape[-1] ** -0.5
        if bias is not None:
            scores = scores + bias[:, :n, :n]
        if window is not None:
            places = torch.arange(n)
            far = (places[:, None] - places).abs() > window
            scores = scores.masked_fill(far, -torch.inf)
        outputs.append((scores.softmax(-1) @ v).transpose(0, 1))
        start += n
    return torch.cat(outputs)


@pytest.mark.parametrize("is_eager", [True, False])
@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("has_bias", [False, True])
def test_each_token_attends_to_its_row(is_eager, window, has_bias):
    torch.manual_seed(0)
    query, key, value = torch.randn(3, CAPACITY.tokens, 2, 8)
    bias = torch.randn(2, CAPACITY.max_length, CAPACITY.max_length) if has_bias else None
    context = ForwardContext(pack(), torch.float32, False, eager_attention=is_eager)
    output = attend(query, key, value, context, 0.0, window=window, bias=bias)
    expected = reference(query, key, value, window, bias)
    assert output.isfinite().all()
    torch.testing.assert_close(output[: len(expected)], expected, atol=1e-5, rtol=0)
    first = attend(query[context.first_tokens], key, value, context, 0.0, window=window, bias=bias)
    assert first.shape == (CAPACITY.rows, 2, 8) and first.isfinite().all()
    starts = torch.tensor(LENGTHS).cumsum(0) - torch.tensor(LENGTHS)
    torch.testing.assert_close(first[: len(LENGTHS)], expected[starts], atol=1e-5, rtol=0)


def test_the_packed_kernel_is_only_for_half_precision_on_a_gpu():
    assert not packed_attention_runs(torch.device("cpu"), torch.bfloat16, 64)
    cuda = torch.device("cuda", 0)
    assert not packed_attention_runs(cuda, torch.float32, 64)
    assert not packed_attention_runs(cuda, torch.bfloat16, 320)
    assert not packed_attention_runs(cuda, torch.bfloat16, 20)
