"""AdamW with moments of 8 bits, by bitsandbytes (Dettmers et al. 2022)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate.optimizer import AcceleratedOptimizer

from auxfold.model.quantization import require_bitsandbytes

# Fewer values keep their moments in fp32.
MIN_8BIT_SIZE = 4096
# Blocks of values that share a scale, and the levels of a quantized value.
_BLOCK_SIZE, _N_LEVELS = 256, 256


def make_8bit_adamw(groups: list[dict[str, Any]], setting: str, lr: float) -> torch.optim.Optimizer:
    """AdamW of bitsandbytes, whose decay of weights is that of torch.

    On a CPU a paged optimizer is an ordinary one: its moments are in the memory of the host anyway.

    Args:
        groups: of the optimizer.
        setting: ``train.optimizer``, ``adamw_8bit`` or ``paged_adamw_8bit``.
        lr: for groups without a learning rate.

    Raises:
        InputError: bitsandbytes is not installed, or it does not run on the device.
    """
    device = groups[0]["params"][0].device
    require_bitsandbytes(f"train.optimizer = {setting!r}", device)
    from bitsandbytes.optim import AdamW8bit, PagedAdamW8bit

    is_paged = setting == "paged_adamw_8bit" and device.type != "cpu"
    return (PagedAdamW8bit if is_paged else AdamW8bit)(groups, lr, min_8bit_size=MIN_8BIT_SIZE)


def guarded_8bit_step(
    optimizer: AcceleratedOptimizer, is_finite: torch.Tensor, divisor: torch.Tensor | None
) -> None:
    """As :func:`auxfold.training.optimizer.guarded_step`; the host waits for the decision.

    It waits in any case: bitsandbytes reads learning rates there, and synchronizes the device after
    every parameter. With fp16 the gradient scaler decides.
    """
    groups = optimizer.param_groups
    if optimizer.scaler is None and not bool(is_finite):
        return
    if divisor is not None:
        gradients = [p.grad for group in groups for p in group["params"] if p.grad is not None]
        torch._foreach_div_(gradients, divisor)
    with _rates_as_numbers(groups):
        optimizer.step()


@contextmanager
def _rates_as_numbers(groups: list[dict[str, Any]]) -> Iterator[None]:
    """Learning rates that are no tensors, which the kernels of bitsandbytes do not read."""
    rates = [group["lr"] for group in groups]
    for group, rate in zip(groups, rates, strict=True):
        group["lr"] = float(rate)
    try:
        yield
    finally:
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate


def moment_shape(name: str, parameter: torch.Tensor) -> torch.Size:
    """The shape of a tensor in the state of a parameter."""
    if name.startswith("qmap"):
        return torch.Size([_N_LEVELS])
    if name.startswith("absmax"):
        return torch.Size([-(-parameter.numel() // _BLOCK_SIZE)])
    return parameter.shape


def page_moments(optimizer: torch.optim.Optimizer) -> None:
    """Put loaded moments of a paged optimizer into memory that the GPU shares with its host.

    bitsandbytes loads them into ordinary memory of the GPU, and would never move them from there.
    """
    if not getattr(optimizer, "is_paged", False):
        return
    for parameter, state in optimizer.state.items():
        for name in ("state1", "state2"):
            loaded = state[name]
            # The optimizer's own function, which pages large moments only.
            state[name] = optimizer.get_state_buffer(parameter, loaded.dtype)  # type: ignore[attr-defined]
            state[name].copy_(loaded)
