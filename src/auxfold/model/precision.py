"""The number format of a run, and the autocast that goes with it."""

from __future__ import annotations

import torch

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def choose_precision(setting: str, device: torch.device) -> str:
    """``auto``: bf16 where the hardware has it, else fp16 on CUDA, else fp32.

    On processors bf16 needs AMX or AVX512-BF16 (measured 5.8 times the fp32 matrix rate).
    """
    if setting != "auto":
        return setting
    if device.type == "cuda":
        # Emulated bf16 (before Ampere) is slow: only hardware support counts.
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if device.type == "cpu" and _cpu_has_bf16():
        return "bf16"
    return "fp32"


def _cpu_has_bf16() -> bool:
    # Private names of torch: absent in some releases, then the answer is the safe one.
    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, check, bool)() for check in checks)


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """The context in which a forward pass runs under ``precision``."""
    dtype = DTYPES.get(precision)
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)


def best_device() -> torch.device:
    """CUDA where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def all_devices() -> list[torch.device]:
    """Every CUDA device, or the CPU where there is none."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [torch.device("cuda", number) for number in range(count)] or [torch.device("cpu")]
