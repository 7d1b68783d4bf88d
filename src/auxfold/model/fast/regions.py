"""The elementwise operations between matrix products.

Sums with the residual and layer norms are computed in fp32, as under autocast, and come with a copy
in the number format of the matrix product that follows. On a GPU under half precision, the two of
each layer are Triton kernels, where Triton runs, which also add the bias of the product before
them. ``torch.compile`` can fuse the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers.activations import GELUActivation

from auxfold.model.fast.context import ForwardContext
from auxfold.model.fast.kernels import load_kernels
from auxfold.model.fast.linear import FusedLinear

_compiled: dict[str, Callable[..., Any]] = {}


def compile_regions(enabled: bool) -> None:
    """Run the regions through ``torch.compile``, or as they are.

    They are compiled at their first use, for any number of tokens. Without gradients they always
    run as they are: evaluation would compile them a second time.
    """
    _compiled.clear()
    if enabled:
        for region in (_norm, _add_norm, _add_before_norm, _gated, _rotate):
            _compiled[region.__name__] = torch.compile(region)


def are_compiled() -> bool:
    """Whether the regions run through ``torch.compile``."""
    return bool(_compiled)


def _run(region: Callable[..., Any], *args: Any) -> Any:
    compiled = _compiled.get(region.__name__)
    if compiled is None or not torch.is_grad_enabled():
        return region(*args)
    for value in args:
        if isinstance(value, torch.Tensor) and value.ndim > 1:
            torch._dynamo.maybe_mark_dynamic(value, 0)  # the number of tokens
    return compiled(*args)


def norm(
    x: torch.Tensor, layer_norm: nn.Module, p: float, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """``dropout(LayerNorm(x))`` ``(tokens, hidden)``, and the same in ``dtype``.

    Args:
        x: ``(tokens, hidden)``.
        layer_norm: an ``nn.LayerNorm``, or an ``nn.Identity`` for none.
        p: the probability of dropout; 0 where it is not active.
        dtype: the number format of the copy.
    """
    if isinstance(layer_norm, nn.Identity):
        return x, x.to(dtype)
    return _run(_norm, x, layer_norm.weight, layer_norm.bias, layer_norm.eps, p, dtype)


def add_norm(
    linear: FusedLinear,
    x: torch.Tensor,
    residual: torch.Tensor,
    layer_norm: nn.Module,
    p: float,
    context: ForwardContext,
) -> tuple[torch.Tensor, torch.Tensor]:
    """``LayerNorm(dropout(linear(x)) + residual)`` ``(tokens, hidden)``, also in half precision.

    Args:
        linear: the last layer of a sublayer.
        x: ``(tokens, width)``, its input.
        residual: ``(tokens, hidden)``.
        layer_norm: an ``nn.LayerNorm``.
        p: the probability of dropout; 0 where it is not active.
        context: of this forward pass; the copy has its number format.
    """
    return _sum_and_norm(_add_norm, linear, x, residual, layer_norm, p, context)


def add_before_norm(
    linear: FusedLinear,
    x: torch.Tensor,
    residual: torch.Tensor,
    layer_norm: nn.Module,
    p: float,
    context: ForwardContext,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The sum ``dropout(linear(x)) + residual``, and its layer norm in half precision.

    This is what a backbone needs whose layer norms precede the sublayers. The arguments are those
    of :func:`add_norm`.
    """
    return _sum_and_norm(_add_before_norm, linear, x, residual, layer_norm, p, context)


def _sum_and_norm(
    region: Callable[..., Any],
    linear: FusedLinear,
    x: torch.Tensor,
    residual: torch.Tensor,
    layer_norm: Any,
    p: float,
    context: ForwardContext,
) -> tuple[torch.Tensor, torch.Tensor]:
    weight, bias, eps = layer_norm.weight, layer_norm.bias, layer_norm.eps
    kernels = _kernels_for(residual, context)
    if kernels is None:
        return _run(region, linear(x), residual, weight, bias, eps, p, context.dtype)
    return kernels.add_norm(
        *linear.product_and_bias(x),
        residual,
        weight,
        bias,
        eps=eps,
        p=p,
        seed=context.next_seed() if p > 0 else context.packed.rows,
        returns_sum=region is _add_before_norm,
    )


def activate(
    linear: FusedLinear,
    x: torch.Tensor,
    activation: Callable[[torch.Tensor], torch.Tensor],
    context: ForwardContext,
) -> torch.Tensor:
    """``activation(linear(x))`` ``(tokens, width)``."""
    kernels = _kernels_for(linear.base_layers[0].weight, context)
    if kernels is None or not _is_gelu(activation):
        return activation(linear(x))
    return kernels.gelu(*linear.product_and_bias(x))


def _is_gelu(activation: Any) -> bool:
    """Whether an activation is the exact GELU."""
    if isinstance(activation, nn.GELU):
        return activation.approximate == "none"
    return isinstance(activation, GELUActivation) and activation.act is F.gelu


def _kernels_for(tensor: torch.Tensor, context: ForwardContext) -> Any:
    """The Triton kernels, where they run and ``tensor`` is fp32 next to half-precision products."""
    is_mixed = tensor.dtype == torch.float32 and context.dtype != torch.float32
    return load_kernels("region_kernels", tensor.device) if is_mixed else None


def gated(
    x: torch.Tensor,
    activation: Callable[[torch.Tensor], torch.Tensor],
    p: float,
    context: ForwardContext,
) -> torch.Tensor:
    """``dropout(activation(a) * b)`` ``(tokens, width)`` of ``x`` ``(tokens, 2 * width)``."""
    kernels = load_kernels("region_kernels", x.device) if context.dtype != torch.float32 else None
    if kernels is None or p > 0 or not _is_gelu(activation):
        return _run(_gated, x, activation, p)
    return kernels.gated_gelu(x)


def rotate(
    qkv: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    n_heads: int,
    context: ForwardContext,
) -> torch.Tensor:
    """Rotary positions of queries and keys.

    Args:
        qkv: ``(tokens, 3 * heads * dim)``.
        cos: fp32 ``(tokens, dim)``, of the angle of each token.
        sin: the same.
        n_heads: how many heads.
        context: of this forward pass.
    """
    kernels = load_kernels("region_kernels", qkv.device) if context.dtype != torch.float32 else None
    dim = cos.shape[1]
    if kernels is not None and dim & (dim - 1) == 0:
        return kernels.rotate_qkv(qkv, cos, sin, n_heads)
    width = 2 * n_heads * dim  # queries and keys next to each other, as twice as many heads
    rotated = _run(_rotate, qkv[:, :width].unflatten(1, (2 * n_heads, dim)), cos, sin)
    return torch.cat([rotated.flatten(1), qkv[:, width:]], dim=1)


def _norm(x, weight, bias, eps, p, dtype):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    hidden = F.dropout(F.layer_norm(x, weight.shape, weight, bias, eps), p, p > 0)
    return hidden, hidden.to(dtype)


def _add_norm(x, residual, weight, bias, eps, p, dtype):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    total = F.dropout(x, p, p > 0) + residual
    hidden = F.layer_norm(total, weight.shape, weight, bias, eps)
    return hidden, hidden.to(dtype)


def _add_before_norm(x, residual, weight, bias, eps, p, dtype):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    total = F.dropout(x, p, p > 0) + residual
    return total, F.layer_norm(total, weight.shape, weight, bias, eps).to(dtype)


def _gated(x, activation, p):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    a, b = x.chunk(2, dim=-1)
    return F.dropout(activation(a) * b, p, p > 0)


def _rotate(x, cos, sin):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    a, b = x.float().chunk(2, dim=-1)
    rotated = x.float() * cos[:, None] + torch.cat([-b, a], dim=-1) * sin[:, None]
    return rotated.to(x.dtype)
