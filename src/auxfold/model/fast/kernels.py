"""Load the modules of Triton kernels where they run."""

from __future__ import annotations

import warnings
from functools import cache
from importlib import import_module
from typing import Any

import torch


@cache
def load_kernels(name: str, device: torch.device) -> Any:
    """The module ``name`` of this package; None where torch operations have to do its work.

    That is so on a CPU, and, with a warning, where a GPU cannot run the kernels: Triton or a
    compiler is missing, or Triton does not support the card. Each kernel runs once to find out.

    Args:
        name: ``region_kernels``, ``attention_kernels`` or ``position_kernels``.
        device: where the kernels would run.
    """
    if device.type != "cuda":
        return None
    try:
        module = import_module(f"auxfold.model.fast.{name}")
        # Their backward runs, too, even where the first use is a prediction.
        with torch.inference_mode(False), torch.enable_grad():
            module.try_all(device)
    except Exception as error:  # whatever Triton or its compiler raise
        reason = f"{type(error).__name__}: {error}".split("\n")[0]
        warnings.warn(
            f"the Triton kernels of auxfold.model.fast.{name} do not run on {device} ({reason}); "
            f"torch operations run instead, which is slower",
            stacklevel=2,
        )
        return None
    return module
