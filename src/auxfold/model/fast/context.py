"""What every layer of one forward pass over packed tokens reads."""

from __future__ import annotations

from functools import cached_property

import torch

from auxfold.data.packing import PackedTokens


class ForwardContext:
    """The packed tokens of one forward pass, and index tensors that are computed once for it.

    Nothing here waits for the device or depends on the values of a tensor.

    Args:
        packed: the tokens.
        dtype: the number format of matrix products.
        training: whether dropout is active.
        eager_attention: whether attention in padded blocks is computed step by step rather than
            by ``scaled_dot_product_attention``.
    """

    def __init__(
        self,
        packed: PackedTokens,
        dtype: torch.dtype,
        training: bool,
        eager_attention: bool = False,
    ) -> None:
        self.packed = packed
        self.dtype = dtype
        self.training = training
        self.eager_attention = eager_attention
        self._seeds: list[torch.Tensor] = []

    def next_seed(self) -> torch.Tensor:
        """An int64 number on the device, the first of two, for the dropout of one kernel.

        Many are drawn at once, from the generator of the device, which a CUDA graph advances. Each
        is aligned to 16 bytes: Triton compiles other variants for other alignments.
        """
        if not self._seeds:
            device = self.packed.rows.device
            self._seeds = list(torch.randint(2**62, (128, 2), device=device).unbind())
        return self._seeds.pop()

    @cached_property
    def lengths(self) -> torch.Tensor:
        """``(rows,)`` int32, the number of tokens of each row."""
        return self.packed.offsets.diff()

    @cached_property
    def first_tokens(self) -> torch.Tensor:
        """``(rows,)`` int64, the first token of each row; of an empty row some other token."""
        last = len(self.packed.input_ids) - 1
        return self.packed.offsets[:-1].long().clamp(max=last)

    @cached_property
    def row_numbers(self) -> torch.Tensor:
        """``(rows + 1,)`` int32: the offsets of a query per row."""
        offsets = self.packed.offsets
        return torch.arange(len(offsets), dtype=offsets.dtype, device=offsets.device)

    @cached_property
    def padded_index(self) -> torch.Tensor:
        """``(tokens,)`` int64, the place of each token in a block ``rows * max_length``."""
        return self.packed.rows * self.packed.max_length + self.packed.positions

    @cached_property
    def key_mask(self) -> torch.Tensor:
        """``(rows, 1, 1, max_length)`` bool: true for the tokens of a row.

        An empty row has its first key, a zero, since a softmax over nothing is not a number.
        """
        positions = torch.arange(self.packed.max_length, device=self.lengths.device)
        return (positions < self.lengths.clamp(min=1)[:, None])[:, None, None]
