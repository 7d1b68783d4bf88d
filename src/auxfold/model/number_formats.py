"""How the frozen weights of a backbone are stored: in fp32, in half precision, or quantized.

What is computed does not change. Linear layers convert their weights at every use, embeddings are
fp32 as soon as they are looked up, and norms and biases stay in fp32. So hidden states add up in
fp32 whatever the format of the weights: in fp16, those of Gemma would overflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from auxfold.config import Model as ModelSettings
from auxfold.errors import InputError
from auxfold.model.amp import DTYPES
from auxfold.model.frozen_linear import FrozenLinear
from auxfold.model.quantization import quantized_layer, quantized_loading_options

# What a quantizer of transformers leaves in a model. Its layers are replaced, and the rest is an
# ordinary model.
_QUANTIZER_ATTRIBUTES = (
    "hf_quantizer", "is_quantized", "quantization_method", "is_loaded_in_4bit",
    "is_loaded_in_8bit", "hf_device_map",
)  # fmt: skip


@dataclass(frozen=True)
class NumberFormats:
    """The number formats of frozen weights.

    Attributes:
        dtype: ``fp32``, ``bf16`` or ``fp16``, of the linear layers and of the token embeddings.
        quantization: ``int8`` or ``nf4``, of the linear layers; None: they have ``dtype``, too.
    """

    dtype: str = "fp32"
    quantization: str | None = None

    @classmethod
    def from_settings(cls, settings: ModelSettings) -> NumberFormats:
        """The formats of ``model.dtype`` and ``model.quantization``."""
        return cls(settings.dtype, settings.quantization)

    @classmethod
    def from_reference(cls, reference: dict[str, str]) -> NumberFormats:
        """The formats that a stored model was trained with; see :meth:`to_reference`."""
        return cls(reference.get("dtype", "fp32"), reference.get("quantization"))

    def to_reference(self) -> dict[str, str]:
        """What a stored model remembers of them: nothing of plain fp32."""
        formats = {} if self.dtype == "fp32" else {"dtype": self.dtype}
        return (
            formats if self.quantization is None else {**formats, "quantization": self.quantization}
        )

    @property
    def is_plain(self) -> bool:
        """Whether all weights are fp32."""
        return self == NumberFormats()

    def describe(self) -> str:
        """``bf16``, ``nf4``, or ``nf4 and bf16`` with the embeddings in the latter."""
        if self.quantization is None:
            return self.dtype
        return (
            self.quantization if self.dtype == "fp32" else f"{self.quantization} and {self.dtype}"
        )

    def loading_options(self) -> dict[str, Any]:
        """Options of ``from_pretrained``; :meth:`apply` does the rest.

        Weights that become smaller are read in their published format, so that a large backbone is
        never in memory in fp32.

        Raises:
            InputError: bitsandbytes is needed, and it is not installed or does not run here.
        """
        if self.is_plain:  # fp32, since gradients of fp16 weights could not be unscaled
            return {"dtype": torch.float32}
        options = {} if self.quantization is None else quantized_loading_options(self.quantization)
        return {"dtype": "auto", **options}

    def apply(self, backbone: PreTrainedModel) -> None:
        """Bring a loaded backbone into the formats, and freeze what is not fp32, in place.

        A pooler stays in fp32, because it is trained with the heads.

        Raises:
            InputError: the architecture has linear layers of another kind, or a weight is too large
                for fp16.
        """
        if self.is_plain:
            return
        for name in _QUANTIZER_ATTRIBUTES:
            vars(backbone).pop(name, None)
        for name in ("quantization_config", "_is_quantized"):
            vars(backbone.config).pop(name, None)
        stored = self._replace_linear_layers(backbone)
        embedding: Any = backbone.get_input_embeddings()
        if self.dtype != "fp32":
            embedding.weight.requires_grad_(False)
            embedding.weight.data = self._cast(embedding.weight.data, "token embeddings")
            embedding.register_forward_hook(_to_fp32)
            stored.add(id(embedding.weight))
        for tensor in [*backbone.parameters(), *backbone.buffers()]:
            if tensor.is_floating_point() and id(tensor) not in stored:
                tensor.data = tensor.data.float()

    def _replace_linear_layers(self, backbone: PreTrainedModel) -> set[int]:
        """Replace linear layers by frozen ones; the ids of their weights."""
        stored = set()
        for name, layer in list(backbone.named_modules()):
            if Conv1D in (type(layer), getattr(layer, "source_cls", None)):
                raise InputError(
                    f"the linear layers of {backbone.config.model_type!r} are of a kind of their "
                    f"own (Conv1D), which model.dtype and model.quantization do not know; leave "
                    f"the keys out"
                )
            if not isinstance(layer, nn.Linear) or name.startswith("pooler."):
                continue
            frozen = quantized_layer(layer)
            if frozen is None and self.dtype != "fp32":
                layer.weight.data = self._cast(layer.weight.data, name)
                frozen = FrozenLinear(layer)
            if frozen is not None:
                backbone.set_submodule(name, frozen)
                stored.add(id(frozen.weight))
        return stored

    def _cast(self, values: torch.Tensor, name: str) -> torch.Tensor:
        cast = values.to(DTYPES[self.dtype])
        if self.dtype == "fp16" and not cast.isfinite().all():
            raise InputError(
                f"model.dtype = 'fp16': a weight of {name} is larger than fp16 can hold; set 'bf16'"
            )
        return cast


def _to_fp32(module: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
    return output.float()


def restore_fp32(backbone: PreTrainedModel) -> None:
    """Make all weights of a backbone fp32, with plain linear layers, in place."""
    for name, layer in list(backbone.named_modules()):
        if isinstance(layer, FrozenLinear):
            with torch.device("meta"):
                plain = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None)
            plain.weight = nn.Parameter(layer.dequantize(torch.float32), requires_grad=False)
            plain.bias = layer.bias
            backbone.set_submodule(name, plain)
    backbone.float()
