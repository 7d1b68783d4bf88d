"""A frozen weight in another format computes what a plain layer computes, and keeps no copy."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import nn

from auxfold.model.frozen_linear import FrozenLinear


def make_layers(has_bias: bool = True) -> tuple[nn.Linear, FrozenLinear]:
    """A plain layer with values that bf16 can hold, and the same one stored in bf16."""
    torch.manual_seed(0)
    plain = nn.Linear(16, 8, bias=has_bias)
    plain.weight.data = plain.weight.data.bfloat16().float()
    source = nn.Linear(16, 8, bias=has_bias)
    source.load_state_dict(plain.state_dict())
    source.weight.data = source.weight.data.bfloat16()
    return plain, FrozenLinear(source)


def run(layer: nn.Module, amp_dtype: torch.dtype | None) -> tuple[torch.Tensor, torch.Tensor]:
    """The output, and the gradient of the input."""
    torch.manual_seed(1)
    values = torch.randn(3, 5, 16, requires_grad=True)
    context = nullcontext() if amp_dtype is None else torch.autocast("cpu", dtype=amp_dtype)
    with context:
        output = layer(values)
    output.square().sum().backward()
    return output, values.grad


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("amp_dtype", [None, torch.bfloat16, torch.float16])
def test_it_computes_what_a_plain_layer_computes(amp_dtype, has_bias):
    plain, frozen = make_layers(has_bias)
    for ours, expected in zip(run(frozen, amp_dtype), run(plain, amp_dtype), strict=True):
        assert ours.dtype == expected.dtype and torch.equal(ours, expected)
    assert not any(p.requires_grad for p in frozen.parameters())
    assert frozen.weight.dtype == torch.bfloat16 and frozen.weight.grad is None


def test_the_converted_weight_is_not_kept_for_the_backward_pass():
    plain, frozen = make_layers()
    sizes: dict[str, list[int]] = {}
    for name, layer in (("plain", plain), ("frozen", frozen)):
        saved = sizes[name] = []

        def record(tensor: torch.Tensor, saved: list[int] = saved) -> torch.Tensor:
            saved.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
            layer(torch.randn(1, 16, requires_grad=True))
    assert 16 * 8 in sizes["plain"] and sizes["frozen"] == []
