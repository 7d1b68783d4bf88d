"""Linear layers whose frozen weight is stored in another number format than is computed with."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class FrozenLinear(nn.Linear):
    """A linear layer with a frozen weight, which is converted at every use.

    The product has the number format that the product of a plain fp32 layer has: that of autocast,
    or else that of the input. Only the format that the weight is stored in is another one.

    Args:
        layer: gives its weight and its bias.
    """

    def __init__(self, layer: nn.Linear) -> None:
        nn.Module.__init__(self)  # that of nn.Linear would allocate a weight
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight, self.bias = layer.weight, layer.bias
        self.requires_grad_(False)
        self._is_hf_initialized = True  # else transformers would initialize the weight again

    def dequantize(self, dtype: torch.dtype) -> torch.Tensor:
        """The weight ``(out, in)`` in a floating-point format."""
        return self.weight.to(dtype)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """``(…, in)`` to ``(…, out)``."""
        device_type = input.device.type
        if torch.is_autocast_enabled(device_type):
            input = input.to(torch.get_autocast_dtype(device_type))
        bias = None if self.bias is None else self.bias.to(input.dtype)
        if self.weight.dtype == input.dtype:
            return F.linear(input, self.weight, bias)
        return _FrozenProduct.apply(input, self, bias)


class _FrozenProduct(torch.autograd.Function):
    """``F.linear`` that converts the weight again for the gradient, rather than keep it."""

    @staticmethod
    def forward(
        ctx: Any, input: torch.Tensor, layer: FrozenLinear, bias: torch.Tensor | None
    ) -> torch.Tensor:
        ctx.layer = layer
        return F.linear(input, layer.dequantize(input.dtype), bias)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return grad @ ctx.layer.dequantize(grad.dtype), None, None
