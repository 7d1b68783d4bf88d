"""Frozen weights of 8 and 4 bits by bitsandbytes, which is imported only where one is asked for.

Only weights are quantized: they are converted to a floating-point format at every use. The layers
of bitsandbytes also quantize the activations for ``int8``, with outliers that they look for in all
rows of a batch together, so that a row's prediction would depend on the rows next to it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from auxfold.errors import InputError
from auxfold.model.amp import default_device
from auxfold.model.frozen_linear import FrozenLinear


class Int8Linear(FrozenLinear):
    """A weight of integers from -127 to 127 and one scale per row (Dettmers et al. 2022).

    Args:
        layer: of the class ``bitsandbytes.nn.Linear8bitLt``, quantized.
    """

    scale: torch.Tensor

    def __init__(self, layer: Any) -> None:
        row_maxima = layer.weight.SCB
        super().__init__(layer)
        # Without what bitsandbytes attaches to it: that would stay behind on another device.
        self.weight = type(layer.weight)(layer.weight.data, requires_grad=False)
        self.register_buffer("scale", row_maxima[:, None] / 127, persistent=False)
        self.state = SimpleNamespace(SCB=row_maxima)  # which the DoRA of peft reads

    def _apply(
        self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True
    ) -> Int8Linear:
        scale = self.scale
        super()._apply(fn, recurse)
        self.scale = scale.to(self.scale.device)  # always in fp32
        return self

    def dequantize(self, dtype: torch.dtype) -> torch.Tensor:
        """The weight ``(out, in)`` in a floating-point format."""
        return (self.weight.data * self.scale).to(dtype)


class Nf4Linear(FrozenLinear):
    """A weight of 16 levels that suit normally distributed values (Dettmers et al. 2023, QLoRA).

    64 values share a scale, and the scales are quantized to 8 bits.

    Args:
        layer: of the class ``bitsandbytes.nn.Linear4bit``, quantized.
    """

    weight: Any  # with the `quant_state` that bitsandbytes attaches to it

    def __init__(self, layer: Any) -> None:
        super().__init__(layer)
        self.weight.quant_state.dtype = torch.float32  # which the DoRA of peft reads it in

    def dequantize(self, dtype: torch.dtype) -> torch.Tensor:
        """The weight ``(out, in)`` in a floating-point format."""
        from bitsandbytes.functional import dequantize_4bit

        state = copy.copy(self.weight.quant_state)
        state.dtype = dtype
        return dequantize_4bit(self.weight.data, state)


def require_bitsandbytes(setting: str, device: torch.device) -> None:
    """Check that bitsandbytes is installed and runs on a device.

    Args:
        setting: the key and its value, for the message.
        device: where it has to run.

    Raises:
        InputError: it is not installed, or it does not run there.
    """
    try:
        import bitsandbytes
    except ImportError:
        raise InputError(
            f"{setting} needs the package bitsandbytes; run: pip install 'auxfold[quantization]'"
        ) from None
    try:
        bitsandbytes.functional.quantize_blockwise(torch.zeros(256, device=device))
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InputError(
            f"{setting}: bitsandbytes {bitsandbytes.__version__} does not run on this "
            f"{device.type} device ({reason}); leave it out, or install a build for the device"
        ) from None


def quantized_loading_options(quantization: str) -> dict[str, Any]:
    """Options of ``from_pretrained`` that quantize each weight as soon as it is read.

    Args:
        quantization: ``int8`` or ``nf4``.

    Raises:
        InputError: bitsandbytes is not installed, or it does not run on the device.
    """
    from transformers import BitsAndBytesConfig

    device = default_device()
    require_bitsandbytes(f"model.quantization = {quantization!r}", device)
    if device.type == "cuda":
        device = torch.device("cuda", torch.cuda.current_device())
    config = BitsAndBytesConfig(
        load_in_8bit=quantization == "int8",
        load_in_4bit=quantization == "nf4",
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        llm_int8_skip_modules=["pooler"],  # which is trained
    )
    return {"quantization_config": config, "device_map": {"": device}}


def quantized_layer(layer: nn.Linear) -> FrozenLinear | None:
    """The layer of this module for one of bitsandbytes; None: it is not quantized."""
    kind = type(layer.weight).__name__
    if kind == "Int8Params":
        return Int8Linear(layer)
    return Nf4Linear(layer) if kind == "Params4bit" else None


def n_values(parameter: torch.Tensor) -> int:
    """The number of values of a parameter, of which ``nf4`` stores two in a byte."""
    state = getattr(parameter, "quant_state", None)
    return parameter.numel() if state is None else state.shape.numel()
