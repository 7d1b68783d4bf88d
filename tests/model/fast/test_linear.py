"""Fused linear layers, their half-precision copies, and adapters of peft in them."""

from __future__ import annotations

import peft
import pytest
import torch
from torch import nn

from auxfold.model.fast.linear import FusedLinear, HalfPrecisionCopies


def make_layers(bias: bool = True) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
    torch.manual_seed(0)
    return tuple(nn.Linear(8, width, bias=bias) for width in (8, 4, 6))


def with_adapter(layers, **changes: object) -> nn.ModuleDict:
    modules = nn.ModuleDict(dict(zip("qkv", layers, strict=True)))
    kind = changes.pop("kind", "lora")
    config = (
        peft.LoraConfig(r=2, target_modules=["q", "v"], **changes)
        if kind == "lora"
        else peft.IA3Config(target_modules=["q"], feedforward_modules=[])
    )
    modules.requires_grad_(False)
    peft.inject_adapter_in_model(config, modules)
    with torch.no_grad():
        for parameter in modules.parameters():
            parameter.normal_(0, 0.3)
    return modules


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_outputs_and_gradients_are_those_of_the_layers(dtype, bias):
    layers = make_layers(bias)
    fused = FusedLinear(*layers)
    HalfPrecisionCopies([fused]).update(dtype)
    x = torch.randn(5, 8).to(dtype).requires_grad_()
    for first, last in ((0, None), (0, 1), (1, 3)):
        ours = fused(x, first, last)
        assert ours.dtype == dtype
        theirs = torch.cat([layer(x.float()) for layer in layers[first:last]], dim=1)
        torch.testing.assert_close(
            ours.float(), theirs, atol=0.02 if dtype != x.float().dtype else 1e-6, rtol=0
        )
    parameters = [p for layer in layers for p in layer.parameters()]
    weights = torch.randn(5, 18).to(dtype)
    ours = torch.autograd.grad((fused(x) * weights).sum(), [x, *parameters])
    outputs = torch.cat([layer(x.float()) for layer in layers], dim=1)
    theirs = torch.autograd.grad((outputs * weights).sum(), [x, *parameters])
    for our, their in zip(ours[1:], theirs[1:], strict=True):
        assert our.dtype == torch.float32
        torch.testing.assert_close(our, their, atol=0.02, rtol=0.02)


def test_micro_batches_add_up_in_fp32():
    (layer, *_) = make_layers()
    fused = FusedLinear(layer)
    HalfPrecisionCopies([fused]).update(torch.bfloat16)
    x = torch.ones(1, 8, dtype=torch.bfloat16)
    for _ in range(300):  # bf16 would stop to count at 256
        fused(x).sum().backward()
    assert layer.bias.grad.tolist() == [300.0] * 8
    assert layer.weight.grad.unique().tolist() == [300.0]


def test_frozen_parameters_get_no_gradient():
    query, key, value = make_layers()
    key.requires_grad_(False)
    value.bias.requires_grad_(False)
    fused = FusedLinear(query, key, value)
    HalfPrecisionCopies([fused]).update(torch.bfloat16)
    fused(torch.ones(2, 8, dtype=torch.bfloat16)).float().sum().backward()
    assert key.weight.grad is None and key.bias.grad is None and value.bias.grad is None
    assert query.weight.grad.unique().tolist() == [2.0] == value.weight.grad.unique().tolist()


def test_copies_follow_the_parameters():
    (layer, *_) = make_layers()
    fused = FusedLinear(layer)
    copies = HalfPrecisionCopies([fused])
    copies.update(torch.bfloat16)
    copy = fused.half_weight
    with torch.no_grad():
        layer.weight.fill_(2.0)
    copies.update(torch.bfloat16)
    assert fused.half_weight is copy  # in place, for CUDA graphs
    assert copy.unique().tolist() == [2.0]
    layer.weight.data.fill_(3.0)  # as a replayed graph does: no version is counted
    copies.update(torch.bfloat16)
    assert copy.unique().tolist() == [2.0]
    copies.mark_stale()
    copies.update(torch.bfloat16)
    assert copy.unique().tolist() == [3.0]


def test_copies_of_inference_mode_can_train():
    (layer, *_) = make_layers()
    fused = FusedLinear(layer)
    copies = HalfPrecisionCopies([fused])
    with torch.inference_mode():
        copies.update(torch.bfloat16)
    fused(torch.ones(1, 8, dtype=torch.bfloat16)).sum().backward()
    assert layer.weight.grad is not None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "adapter",
    [{}, {"lora_alpha": 6}, {"use_rslora": True}, {"use_dora": True}, {"kind": "ia3"}],
    ids=["lora", "alpha", "rslora", "dora", "ia3"],
)
def test_adapters_of_peft_are_applied(adapter, dtype):
    modules = with_adapter(make_layers(), **adapter)
    fused = FusedLinear(*modules.values())
    assert fused.is_fused == (not adapter.keys() & {"use_dora", "kind"})
    HalfPrecisionCopies([fused]).update(dtype)
    x = torch.randn(5, 8)
    trained = [p for p in modules.parameters() if p.requires_grad]
    ours, theirs = fused(x.to(dtype)), torch.cat([module(x) for module in modules.values()], dim=1)
    tolerance = 1e-5 if dtype == torch.float32 else 0.05
    torch.testing.assert_close(ours.float(), theirs, atol=tolerance, rtol=tolerance)
    for our, their in zip(
        torch.autograd.grad(ours.float().square().sum(), trained),
        torch.autograd.grad(theirs.square().sum(), trained),
        strict=True,
    ):
        torch.testing.assert_close(our, their, atol=20 * tolerance, rtol=20 * tolerance)


def test_dropout_of_lora_is_active_in_training():
    modules = with_adapter(make_layers(), lora_dropout=0.5).train()
    fused = FusedLinear(*modules.values())
    x = torch.randn(5, 8)
    first, second = fused(x), fused(x)
    assert not torch.equal(first[:, :8], second[:, :8])
    torch.testing.assert_close(first[:, 8:12], second[:, 8:12])  # the key has no LoRA
    modules.eval()
    torch.testing.assert_close(fused(x), fused(x))


def test_the_bias_is_apart_only_where_a_kernel_can_add_it():
    (layer, *_) = make_layers()
    x = torch.randn(5, 8)
    product, bias = FusedLinear(layer).product_and_bias(x)
    assert bias is layer.bias
    torch.testing.assert_close(product + bias, layer(x))
    modules = with_adapter(make_layers())
    output, bias = FusedLinear(modules["q"]).product_and_bias(x)
    assert bias is None
    torch.testing.assert_close(output, modules["q"](x))
