"""The matrix products of an encoder: their arithmetic, and the time that they take by themselves.

The products of a row of ``n`` tokens in the forward pass are

- for every linear layer of the encoder ``2 × inputs × outputs × n`` operations, together
  ``2 × parameters × n``;
- for every attention layer ``2 × pairs × hidden`` for the scores and as many for their sums, where
  ``pairs`` is ``n × n``, or the pairs within the window of a local layer. DeBERTa computes two more
  scores of each pair (content to position and position to content).

The backward pass costs twice the forward pass: a product for the gradient of each factor. Only real
tokens count. Embeddings, the pooler and the heads do not, and neither do DeBERTa's projections of
its table of positions, which do not grow with the tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.timing import seconds_of

# Linear layers that do not run on every token.
_NOT_PER_TOKEN = ("pos_key_proj", "pos_query_proj")


@dataclass(frozen=True)
class Attention:
    """The attention of one layer.

    Attributes:
        n_heads: attention heads.
        head_size: the width of each.
        n_scores: how many products make the scores of a pair of tokens: 1, in DeBERTa up to 3.
        window: tokens further apart do not attend to each other; None: all tokens do.
    """

    n_heads: int
    head_size: int
    n_scores: int = 1
    window: int | None = None

    def n_pairs(self, lengths: np.ndarray) -> int:
        """The pairs of tokens that attend to each other, over rows of these lengths."""
        lengths = lengths.astype(np.int64)
        if self.window is None:
            return int((lengths**2).sum())
        near = np.minimum(self.window, lengths - 1)
        return int((lengths * (2 * near + 1) - near * (near + 1)).sum())


@dataclass(frozen=True)
class EncoderShape:
    """What decides the matrix products of an encoder.

    Attributes:
        linears: (inputs, outputs) of every linear layer that runs on each token.
        attentions: the attention of every layer.
    """

    linears: list[tuple[int, int]]
    attentions: list[Attention]

    @classmethod
    def of(cls, backbone: nn.Module) -> EncoderShape:
        """The shape of an encoder of transformers, whose adapter counts as well."""
        linears = [
            (module.in_features, module.out_features)
            for name, module in backbone.named_modules()
            if isinstance(module, nn.Linear)
            and not name.startswith("pooler")
            and not name.endswith(_NOT_PER_TOKEN)
        ]
        config: Any = backbone.config
        heads = config.num_attention_heads
        n_scores = 1
        if getattr(config, "relative_attention", False):
            n_scores += len(config.pos_att_type or [])
        kinds = getattr(config, "layer_types", None) or [""] * config.num_hidden_layers
        attentions = [
            Attention(
                n_heads=heads,
                head_size=config.hidden_size // heads,
                n_scores=n_scores,
                window=config.sliding_window if kind == "sliding_attention" else None,
            )
            for kind in kinds
        ]
        return cls(linears, attentions)


def model_flops(shape: EncoderShape, lengths: np.ndarray, backward: bool) -> int:
    """Floating-point operations of the matrix products for rows of these lengths.

    Args:
        shape: the encoder.
        lengths: ``(rows,)`` tokens of each row, special tokens included.
        backward: whether the backward pass counts too, as in training.
    """
    n_parameters = sum(inputs * outputs for inputs, outputs in shape.linears)
    forward = 2 * n_parameters * int(lengths.sum())
    for attention in shape.attentions:
        width = attention.n_heads * attention.head_size
        forward += 2 * attention.n_pairs(lengths) * width * (attention.n_scores + 1)
    return 3 * forward if backward else forward


def matrix_rate(device: torch.device, dtype: torch.dtype, seconds: float = 0.2) -> float:
    """Operations per second of a large product of square matrices."""
    size = 8192 if device.type == "cuda" else 1024
    left = torch.randn(size, size, device=device, dtype=dtype)
    right, product = torch.randn_like(left), torch.empty_like(left)

    def multiply(n_times: int) -> float:
        def run() -> None:
            for _ in range(n_times):
                torch.mm(left, right, out=product)

        return seconds_of(run, device)

    multiply(3)
    n_times = max(1, round(seconds / multiply(1)))
    return n_times * 2 * size**3 / multiply(n_times)


class ProductRunner:
    """Runs exactly the matrix products of batches, in one number format, and nothing else.

    Every linear layer has a weight of its own, as in the model. Linear layers run on the real
    tokens of a batch together, attention on rows that are padded to the longest one of the batch.

    Args:
        shape: the encoder.
        dtype: the number format of the products.
        device: where they run.
    """

    def __init__(self, shape: EncoderShape, dtype: torch.dtype, device: torch.device) -> None:
        self.shape, self.dtype, self.device = shape, dtype, device
        self.weights = [self._random(outputs, inputs) for inputs, outputs in shape.linears]
        self._buffers: dict[str, torch.Tensor] = {}

    def run(self, batches: list[np.ndarray], backward: bool) -> None:
        """All products of the batches, each of which is the lengths of its rows."""
        for lengths in batches:
            for weight in self.weights:
                self._linear(int(lengths.sum()), weight, backward)
            for attention in self.shape.attentions:
                self._attend(attention, len(lengths), int(lengths.max()), backward)

    def seconds(self, batches: list[np.ndarray], backward: bool) -> float:
        """How long :meth:`run` takes."""
        with torch.inference_mode():
            return seconds_of(lambda: self.run(batches, backward), self.device)

    def _linear(self, n_tokens: int, weight: torch.Tensor, backward: bool) -> None:
        outputs, inputs = weight.shape
        tokens = self._buffer("tokens", n_tokens, inputs)
        self._multiply(tokens, weight.t())
        if backward:
            gradient = self._buffer("gradient", n_tokens, outputs)
            self._multiply(gradient, weight)
            self._multiply(gradient.t(), tokens)

    def _attend(self, attention: Attention, n_rows: int, length: int, backward: bool) -> None:
        n_blocks = n_rows * attention.n_heads
        tokens = self._buffer("tokens", n_blocks, length, attention.head_size)
        others = self._buffer("others", n_blocks, length, attention.head_size)
        scores = self._buffer("scores", n_blocks, length, length)
        for _ in range(attention.n_scores):
            self._multiply(tokens, others.mT)
            if backward:
                self._multiply(scores, others)
                self._multiply(scores.mT, tokens)
        self._multiply(scores, others)
        if backward:
            self._multiply(tokens, others.mT)
            self._multiply(scores.mT, tokens)

    def _multiply(self, left: torch.Tensor, right: torch.Tensor) -> None:
        product = self._buffer("product", *left.shape[:-1], right.shape[-1])
        torch.matmul(left, right, out=product)

    def _buffer(self, name: str, *shape: int) -> torch.Tensor:
        """A part of a buffer that grows when needed; its content is random numbers."""
        size = int(np.prod(shape))
        if name not in self._buffers or len(self._buffers[name]) < size:
            self._buffers[name] = self._random(size)
        return self._buffers[name][:size].view(shape)

    def _random(self, *shape: int) -> torch.Tensor:
        return torch.randn(*shape, device=self.device, dtype=self.dtype)
