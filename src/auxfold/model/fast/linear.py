"""Linear layers with the same input as one matrix product, in half precision from copies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from auxfold.model.fast.kernels import load_kernels


class FusedLinear:
    """One or several linear layers that read the same input, as one matrix product.

    The parameters stay in their modules, and gradients arrive there. Where the input is in half
    precision and the parameters are in fp32, the product uses the copies of
    :class:`HalfPrecisionCopies`, and the gradients of the weights are fp32.

    LoRA layers of peft are fused by their base layers, and their low-rank update is added. Other
    layers of an adapter run as they are.

    Args:
        modules: ``nn.Linear`` layers, or layers of peft around them.
    """

    def __init__(self, *modules: nn.Module) -> None:
        self.modules = modules
        self.base_layers: list[Any] = [getattr(module, "base_layer", module) for module in modules]
        self.is_fused = all(isinstance(m, nn.Linear) or _is_lora(m) for m in modules)
        self.ends = torch.tensor([m.out_features for m in self.base_layers]).cumsum(0).tolist()
        # Set by HalfPrecisionCopies.
        self.half_weight: torch.Tensor | None = None
        self.half_bias: torch.Tensor | None = None

    def __call__(self, x: torch.Tensor, first: int = 0, last: int | None = None) -> torch.Tensor:
        """The outputs of the layers ``first`` to ``last`` next to each other.

        Args:
            x: ``(tokens, in features)``; its dtype is that of the product.
            first: the first layer.
            last: the layer after the last; None: all that follow.

        Returns:
            ``(tokens, sum of out features)`` in the dtype of ``x``.
        """
        last = len(self.modules) if last is None else last
        if not self.is_fused:
            outputs = [_run_module(module, x) for module in self.modules[first:last]]
            return torch.cat(outputs, dim=1).to(x.dtype)
        output = self._base_output(x, first, last)
        updates = [_lora_update(module, x) for module in self.modules[first:last]]
        if all(update is None for update in updates):
            return output
        widths = [layer.out_features for layer in self.base_layers[first:last]]
        parts = zip(output.split(widths, dim=1), updates, strict=True)
        return torch.cat([p if u is None else (p + u).to(p.dtype) for p, u in parts], dim=1)

    def product_and_bias(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The output without its bias, and the fp32 bias ``(out features,)``, if that is apart.

        It is where this is one ``nn.Linear``. Else the output has the bias, and the second is None.

        Args:
            x: ``(tokens, in features)``.
        """
        (module,) = self.modules
        if not isinstance(module, nn.Linear) or module.bias is None:
            return self(x), None
        return self._base_output(x, 0, 1, has_bias=False), module.bias

    def _base_output(
        self, x: torch.Tensor, first: int, last: int, has_bias: bool = True
    ) -> torch.Tensor:
        layers = self.base_layers[first:last]
        weights = [layer.weight for layer in layers]
        biases = [layer.bias for layer in layers if has_bias and layer.bias is not None]
        if x.dtype == weights[0].dtype:
            weight = weights[0] if len(weights) == 1 else torch.cat(weights)
            return F.linear(x, weight, _concatenated(biases))
        assert self.half_weight is not None and self.half_weight.dtype == x.dtype
        rows = slice(self.ends[first - 1] if first else 0, self.ends[last - 1])
        bias = self.half_bias[rows] if biases and self.half_bias is not None else None
        return _HalfPrecisionLinear.apply(
            x, self.half_weight[rows], bias, len(weights), *weights, *biases
        )


def _concatenated(biases: list[torch.Tensor]) -> torch.Tensor | None:
    return torch.cat(biases) if len(biases) > 1 else biases[0] if biases else None


def _is_lora(module: nn.Module) -> bool:
    """Whether a module is plain LoRA of peft around a linear layer (not DoRA or similar)."""
    is_layer = type(module).__module__ == "peft.tuners.lora.layer"
    is_layer = is_layer and type(module).__name__ == "Linear"
    return is_layer and not getattr(module, "lora_variant", None) and not module.merged


def _lora_update(module: Any, x: torch.Tensor) -> torch.Tensor | None:
    """The low-rank update ``(tokens, out features)``, as in peft; None without LoRA."""
    if isinstance(module, nn.Linear) or module.disable_adapters:
        return None
    total = None
    for name in module.active_adapters:
        if name in module.lora_A:
            down = _run_module(module.lora_A[name], module.lora_dropout[name](x))
            update = _run_module(module.lora_B[name], down) * module.scaling[name]
            total = update if total is None else total + update
    return total


def _run_module(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The output of a module as it is under autocast to the dtype of ``x``."""
    is_half = x.dtype in (torch.bfloat16, torch.float16)
    with torch.autocast(x.device.type, dtype=x.dtype if is_half else None, enabled=is_half):
        return module(x)


class _HalfPrecisionLinear(torch.autograd.Function):
    """``x @ weight.T + bias`` with half-precision copies of fp32 parameters."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        n_weights: int,
        *parameters: torch.Tensor,
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.n_weights = n_weights
        ctx.sizes = [len(parameter) for parameter in parameters]
        return F.linear(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        n, sizes, needed = ctx.n_weights, ctx.sizes, ctx.needs_input_grad[4:]
        grad_x = torch.mm(grad, weight) if ctx.needs_input_grad[0] else None
        grads: list[torch.Tensor | None] = [None] * len(sizes)
        if any(needed[:n]):
            grads[:n] = _fp32_product(grad.t(), x).split(sizes[:n])
        if any(needed[n:]):
            grads[n:] = _column_sums(grad).split(sizes[n:])
        masked = [g if is_needed else None for g, is_needed in zip(grads, needed, strict=True)]
        return grad_x, None, None, None, *masked


# torch 2.8 and later write the fp32 sums of a product of half-precision matrices, on CUDA.
_HAS_OUT_DTYPE = "dtype" in torch.ops.aten.mm.overloads()


def _fp32_product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    if a.is_cuda and _HAS_OUT_DTYPE:
        return torch.mm(a, b, out_dtype=torch.float32)
    return torch.mm(a, b).float()


def _column_sums(x: torch.Tensor) -> torch.Tensor:
    kernels = load_kernels("region_kernels", x.device)
    return x.sum(0, dtype=torch.float32) if kernels is None else kernels.column_sums(x)


class HalfPrecisionCopies:
    """Half-precision copies of fp32 parameters, so that a step casts each of them once.

    Args:
        layers: the linear layers whose parameters are copied.
    """

    def __init__(self, layers: Iterable[FusedLinear]) -> None:
        self.layers = [layer for layer in layers if layer.is_fused]
        self._copies: list[torch.Tensor] = []
        self._dtype: torch.dtype | None = None
        self._state: list[tuple[int, int]] = []

    def update(self, dtype: torch.dtype) -> None:
        """Make the copies in ``dtype``, or refresh them where a parameter has changed.

        A change is noticed by the version counters of the parameters. Those do not count what a
        replayed CUDA graph does: see :meth:`mark_stale`.
        """
        parameters = self._parameters()
        if not parameters or dtype == parameters[0].dtype:
            return
        if dtype != self._dtype or self._copies[0].device != parameters[0].device:
            self._allocate(dtype)
        if self._state != _versions(parameters):
            self.refresh()

    def refresh(self) -> None:
        """Copy the parameters, in one launch; nothing where there are no copies."""
        if self._dtype is None:
            return
        parameters = self._parameters()
        with torch.no_grad():
            torch._foreach_copy_(self._copies, parameters)
        self._state = _versions(parameters)

    def mark_stale(self) -> None:
        """Refresh the copies before they are next used."""
        self._state = []

    def clear(self) -> None:
        """Forget the copies."""
        self._copies, self._dtype, self._state = [], None, []
        for layer in self.layers:
            layer.half_weight = layer.half_bias = None

    def _parameters(self) -> list[torch.Tensor]:
        """The parameters of all layers, in the order of the copies."""
        return [
            parameter
            for layer in self.layers
            for parameter in (
                *(base.weight for base in layer.base_layers),
                *(base.bias for base in layer.base_layers if base.bias is not None),
            )
        ]

    def _allocate(self, dtype: torch.dtype) -> None:
        self.clear()
        self._dtype = dtype
        # Tensors of inference mode could not be used in training later.
        with torch.inference_mode(False):
            for layer in self.layers:
                weights = [base.weight for base in layer.base_layers]
                biases = [base.bias for base in layer.base_layers if base.bias is not None]
                layer.half_weight, pieces = _empty_copies(weights, dtype)
                self._copies += pieces
                layer.half_bias, pieces = _empty_copies(biases, dtype)
                self._copies += pieces


def _empty_copies(
    parameters: Sequence[torch.Tensor], dtype: torch.dtype
) -> tuple[torch.Tensor | None, list[torch.Tensor]]:
    """A buffer for parameters one below the other, and its part for each of them."""
    if not parameters:
        return None, []
    sizes = [len(parameter) for parameter in parameters]
    buffer = parameters[0].new_empty(sum(sizes), *parameters[0].shape[1:], dtype=dtype)
    buffer = buffer.detach()
    return buffer, list(buffer.split(sizes))


def _versions(parameters: list[torch.Tensor]) -> list[tuple[int, int]]:
    return [(parameter.data_ptr(), parameter._version) for parameter in parameters]
