"""What the encoders over packed tokens of all architectures share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from auxfold.data.packing import PackedTokens
from auxfold.model.fast.context import ForwardContext
from auxfold.model.fast.linear import FusedLinear, HalfPrecisionCopies
from auxfold.model.fast.pooling import attend_tokens, last_tokens, mean_tokens
from auxfold.model.pooling import AttentionPool


class FastEncoder(ABC):
    """The backbone and the pooling over :class:`PackedTokens`, without padding.

    This is not a module: it reads the parameters of the modules at every call, so that the state
    dict, saving and loading do not change. A call neither waits for the device nor depends on the
    values of a tensor, so that it can be captured in a CUDA graph.

    Under autocast to half precision, matrix products read copies of the weights. They are refreshed
    by themselves when a parameter has changed. A replayed CUDA graph changes parameters without a
    trace: it starts with :meth:`refresh`, and :meth:`mark_stale` follows it.

    Args:
        backbone: the module of Hugging Face.
        pooling: ``cls``, ``last``, ``mean``, ``attention`` or ``pooler``.
        pool: the module of ``attention``.

    Attributes:
        max_length_step: the ``max_length`` of a :class:`Capacity` is rounded up to a multiple of
            it; 0: a longer one costs nothing, so that it can always be that of the data set.
        first_only: whether pooling reads only the first token of each row.
    """

    def __init__(
        self, backbone: PreTrainedModel, pooling: str, pool: AttentionPool | None = None
    ) -> None:
        self.backbone: Any = backbone
        self.first_only = pooling in ("cls", "pooler")
        self.pooling, self.pool = pooling, pool
        self._pooling_layers: list[FusedLinear] = []
        if pooling == "pooler":
            self._pooling_layers = [FusedLinear(backbone.get_submodule("pooler.dense"))]
        elif pool is not None:
            self._pooling_layers = [FusedLinear(pool.project), FusedLinear(pool.score)]
        self.copies = HalfPrecisionCopies([*self.linear_layers(), *self._pooling_layers])

    @classmethod
    def supports(cls, backbone: PreTrainedModel) -> bool:
        """Whether a backbone of this architecture has nothing that the encoder lacks."""
        return True

    @abstractmethod
    def linear_layers(self) -> list[FusedLinear]:
        """The linear layers of the backbone, in the order in which they run."""

    @abstractmethod
    def encode(self, context: ForwardContext) -> tuple[torch.Tensor, torch.Tensor]:
        """The last hidden states, and the same in the number format of matrix products.

        Returns:
            Twice ``(tokens, hidden)``; with ``first_only`` twice ``(rows, hidden)``, those of the
            first tokens.
        """

    @property
    def max_length_step(self) -> int:
        """See the class."""
        return 16

    def __call__(self, packed: PackedTokens) -> torch.Tensor:
        """The pooled vector of every row, fp32 ``(rows, hidden)``; finite for empty rows."""
        device_type = packed.input_ids.device.type
        dtype = self._dtype(device_type)
        self.copies.update(dtype)
        context = ForwardContext(
            packed,
            dtype,
            training=self.backbone.training,
            eager_attention=self.backbone.config._attn_implementation == "eager"
            and device_type == "cpu",
        )
        # Number formats are explicit from here on.
        with torch.autocast(device_type, enabled=False):
            return self._pooled(*self.encode(context), context)

    def prepare(self, max_length: int) -> None:  # noqa: B027  # most have nothing to prepare
        """Compute what depends only on a ``max_length``, before a CUDA graph is captured for it."""

    def refresh(self) -> None:
        """Copy the parameters to their half-precision copies, in one launch; see the class."""
        self.copies.refresh()

    def mark_stale(self) -> None:
        """Note that a replayed CUDA graph has changed the parameters."""
        self.copies.mark_stale()

    def _dtype(self, device_type: str) -> torch.dtype:
        if torch.is_autocast_enabled(device_type):
            return torch.get_autocast_dtype(device_type)
        return self.backbone.dtype

    def _pooled(
        self, hidden: torch.Tensor, low: torch.Tensor, context: ForwardContext
    ) -> torch.Tensor:
        if self.pooling == "pooler":
            (dense,) = self._pooling_layers
            return self.backbone.pooler.activation(dense(low)).float()
        if self.pooling == "cls":
            return hidden.float()
        if self.pooling == "last":
            return last_tokens(hidden, context)
        if self.pooling == "attention":
            project, score = self._pooling_layers
            return attend_tokens(hidden, low, project, score, context)
        return mean_tokens(hidden, context)

    def __reduce__(self) -> tuple[Any, ...]:
        # A copied or unpickled encoder reads the copied modules, and makes copies of their weights.
        return type(self), (self.backbone, self.pooling, self.pool)


def dropout_of(module: nn.Module, context: ForwardContext) -> float:
    """The probability of a dropout module; 0 where it is not active or an ``nn.Identity``."""
    return getattr(module, "p", 0.0) if context.training else 0.0
