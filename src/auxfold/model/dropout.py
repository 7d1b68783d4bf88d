"""Dropout on a CPU, with masks from raw random bits.

A CPU draws torch's dropout masks one number after the other, which takes longer than anything else
about dropout. Here 16 of the generator's bits decide about a cell.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

LEVELS = 2**16  # the number of values that decide about a cell


class BitDropout(TorchFunctionMode):
    """Replaces :func:`torch.nn.functional.dropout` on CPU tensors, whatever module calls it.

    The probability is rounded to a multiple of 1 / 65,536, and the cells that stay are divided by
    their exact probability, so that the expected value is the input. Masks depend on torch's
    generator alone, not on the number of threads.
    """

    _n_active = 0

    def __enter__(self) -> Self:
        BitDropout._n_active += 1
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        BitDropout._n_active -= 1
        super().__exit__(*error)

    @classmethod
    def recomputation_contexts(
        cls,
    ) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
        """Contexts of a checkpointed forward pass, and of what the backward pass repeats of it.

        The backward pass is called from within :meth:`__torch_function__`, where no context of this
        kind is active.
        """
        return nullcontext(), cls() if cls._n_active else nullcontext()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call ``func``, or what replaces it."""
        if func is F.dropout:
            return _dropout(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _dropout(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
) -> torch.Tensor:
    """The arguments are those of :func:`torch.nn.functional.dropout`."""
    threshold = round(p * LEVELS)
    replaces = training and not inplace and 0 < threshold < LEVELS and input.is_floating_point()
    if not replaces or input.device.type != "cpu":
        return F.dropout(input, p, training, inplace)
    return _BitDropout.apply(input, threshold)


class _BitDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, threshold: int) -> torch.Tensor:
        words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        bits = words.view(torch.int16)[: x.numel()].view(x.shape)
        ctx.save_for_backward(bits)
        ctx.threshold = threshold
        return x * _scaled_mask(bits, threshold, x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (gradient,) = gradients
        (bits,) = ctx.saved_tensors
        return gradient * _scaled_mask(bits, ctx.threshold, gradient.dtype), None


def _scaled_mask(bits: torch.Tensor, threshold: int, dtype: torch.dtype) -> torch.Tensor:
    """Zero where a cell is dropped, else one divided by the probability that it is not."""
    mask = torch.empty(bits.shape, dtype=dtype)
    # Written as numbers at once: a bool mask would have to be converted, which takes longer.
    torch.ge(bits, threshold - LEVELS // 2, out=mask)
    return mask.mul_(LEVELS / (LEVELS - threshold))
