"""Devices, and automatic mixed precision (AMP) on them."""

from __future__ import annotations

import torch
from torch import nn

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def choose_amp_dtype(setting: str, device: torch.device) -> str:
    """The number format of forward passes: ``bf16``, ``fp16`` or ``fp32``.

    ``auto`` is bf16 where the hardware has it, else fp16 on CUDA, else fp32. A processor needs AMX
    or AVX512-BF16 for bf16 (measured: 5.8 times the rate of fp32 matrix products).

    Args:
        setting: ``train.precision``.
        device: where the model is.
    """
    if setting != "auto":
        return setting
    if device.type == "cuda":
        # Emulated bf16 (before Ampere) is slow, so only hardware support counts.
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if device.type == "cpu" and _cpu_has_bf16():
        return "bf16"
    return "fp32"


def _cpu_has_bf16() -> bool:
    # These are private names of torch. Some releases lack them, and then fp32 is the safe choice.
    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, check, bool)() for check in checks)


def autocast(amp_dtype: str, device: torch.device) -> torch.autocast:
    """The context in which a forward pass runs in ``amp_dtype``; fp32 changes nothing."""
    dtype = DTYPES.get(amp_dtype)
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)


def cast_linear_layers(module: nn.Module, amp_dtype: str) -> None:
    """Store linear layers in the number format to which autocast casts them at every use.

    Predictions do not change by a bit, only the casts and half of the memory are saved. Everything
    else stays as it is: norms and sums need fp32.
    """
    dtype = DTYPES.get(amp_dtype)
    for layer in module.modules() if dtype is not None else ():
        if isinstance(layer, nn.Linear):
            layer.to(dtype)


def keep_residuals_fp32(backbone: nn.Module, hidden_size: int) -> None:
    """Let norms between a layer's output and the residual return fp32 under fp16, in place.

    Autocast adds hidden states up in fp32, except where an RMS norm returns the fp16 of the linear
    layer before it, as in Gemma 2 and 3: its weights are so large that fp16 overflows. Other norms
    already read fp32. With bf16 nothing changes.

    Args:
        backbone: the module of Hugging Face.
        hidden_size: of its hidden states. The norms of queries and keys have fewer values.
    """
    for module in backbone.modules():
        is_norm = type(module).__name__.endswith("RMSNorm")
        if is_norm and getattr(module, "weight", torch.empty(0)).shape == (hidden_size,):
            module.register_forward_pre_hook(_fp16_to_fp32)


def _fp16_to_fp32(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(values.float() if values.dtype == torch.float16 else values for values in inputs)


def default_device() -> torch.device:
    """CUDA where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def all_devices() -> list[torch.device]:
    """Every CUDA device, or the CPU where there is none."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [torch.device("cuda", index) for index in range(count)] or [torch.device("cpu")]
