"""Optimizer steps of a few fixed sizes, each captured once in a CUDA graph and then replayed.

Launching the thousands of small operations of a step one by one takes a GPU's host longer than the
GPU takes to run them. A graph launches all of them at once. It reads its rows from buffers of a
fixed size, so steps are filled up to one of a few sizes (:class:`Capacity`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from auxfold.data.dataset import TokenizedDataset
from auxfold.data.packing import Capacity, PackedTokens, choose_capacity, choose_lanes
from auxfold.data.prefetch import map_tensors
from auxfold.model.out_of_memory import is_out_of_memory

# Captures the operations of a function without running them; returns what runs them again.
Capture = Callable[[Callable[[], None]], Callable[[], None]]

EAGER_STEPS = 3  # before the first capture: libraries set themselves up when first used
MAX_GRAPHS = 96  # more sizes than this run operation by operation


class StepTensors(NamedTuple):
    """The rows of a step as tensors of a fixed size.

    Attributes:
        packed: their tokens, filled up to a capacity.
        rows: ``(rows of the capacity,)`` int64 rows of the table; 0 where there is none.
        is_real: ``(rows of the capacity, 1)`` bool, false where there is none.
    """

    packed: PackedTokens
    rows: torch.Tensor
    is_real: torch.Tensor

    def tensors(self) -> list[torch.Tensor]:
        """All tensors, in a fixed order."""
        parts = [*self.packed, self.rows, self.is_real]
        return [part for part in parts if isinstance(part, torch.Tensor)]

    def to(self, device: torch.device) -> StepTensors:
        """The same on a device."""
        return map_tensors(lambda tensor: tensor.to(device), self)


def fill_up(
    dataset: TokenizedDataset,
    indices: np.ndarray,
    swapped: np.ndarray | bool,
    windows: np.ndarray | int,
    n_rows: int,
    max_length_step: int,
) -> tuple[Capacity, StepTensors]:
    """A step's rows in the smallest of a few sizes that holds them.

    Args:
        dataset: the tokens of the table.
        indices: the rows of the step.
        swapped: as in :meth:`TokenizedDataset.batch`.
        windows: as in :meth:`TokenizedDataset.batch`.
        n_rows: the most rows of a step.
        max_length_step: of the :class:`FastEncoder`.
    """
    lengths = dataset.lengths()[indices]
    max_length = dataset.max_length
    if max_length_step:
        longest = -(-int(lengths.max()) // max_length_step) * max_length_step
        # Blocks are padded to multiples of 16.
        max_length = min(longest, -(-max_length // 16) * 16)
    capacity = choose_capacity(int(lengths.sum()), n_rows, max_length)
    if max_length_step:
        capacity = choose_lanes(capacity, lengths)
    rows = np.zeros(capacity.rows, dtype=np.int64)
    rows[: len(indices)] = indices
    is_real = np.arange(capacity.rows) < len(indices)
    return capacity, StepTensors(
        packed=dataset.packed(indices, swapped, capacity, windows),
        rows=torch.from_numpy(rows),
        is_real=torch.from_numpy(is_real)[:, None],
    )


class StepGraphs:
    """Captured steps, one for every size and variant of a step that has come.

    Args:
        device: of the step.
        capture: :class:`CudaCapture`, or a stand-in for tests.
    """

    def __init__(self, device: torch.device, capture: Capture) -> None:
        self.device, self.capture = device, capture
        self._buffers: dict[Capacity, StepTensors] = {}
        self._replays: dict[tuple[Capacity, object], Callable[[], None]] = {}
        self._n_eager: dict[object, int] = {}

    def run(
        self,
        capacity: Capacity,
        tensors: StepTensors,
        variant: object,
        step: Callable[[StepTensors], None],
    ) -> None:
        """Run a step: replay it, or run it operation by operation where it was not captured yet.

        Args:
            capacity: the size of the tensors.
            tensors: the rows, in pinned memory.
            variant: whatever else decides which operations the step consists of.
            step: the operations, which read the tensors that they are called with.

        Raises:
            CaptureFailed: the step cannot be captured; it has not been run.
            torch.OutOfMemoryError: there is too little memory to run or to capture it.
        """
        buffers = self._fill_buffers(capacity, tensors)
        key = (capacity, variant)
        if key not in self._replays:
            n_eager = self._n_eager.get(variant, 0)
            if n_eager < EAGER_STEPS or len(self._replays) == MAX_GRAPHS:
                self._n_eager[variant] = n_eager + 1
                step(buffers)
                return
            try:
                self._replays[key] = self.capture(lambda: step(buffers))
            except Exception as error:
                if is_out_of_memory(error):
                    raise torch.OutOfMemoryError("a step was captured") from error
                raise CaptureFailed(f"{type(error).__name__}: {error}".split("\n")[0]) from error
        self._replays[key]()

    def _fill_buffers(self, capacity: Capacity, tensors: StepTensors) -> StepTensors:
        buffers = self._buffers.get(capacity)
        if buffers is None:
            buffers = self._buffers[capacity] = tensors.to(self.device)
        for buffer, values in zip(buffers.tensors(), tensors.tensors(), strict=True):
            buffer.copy_(values, non_blocking=True)
        return buffers


class CaptureFailed(Exception):
    """A step cannot be captured."""


class CudaCapture:
    """Captures operations in CUDA graphs that share their memory.

    They may share it because one is replayed after the other on one stream, and nothing that a
    replay leaves in this memory is read after it.
    """

    def __init__(self) -> None:
        self.pool = torch.cuda.graph_pool_handle()

    def __call__(self, function: Callable[[], None]) -> Callable[[], None]:
        """The replay of the operations that the function launches on the current stream."""
        graph = torch.cuda.CUDAGraph()
        # Other threads prepare the next batches meanwhile, in pinned memory that they allocate.
        with torch.cuda.graph(
            graph,
            pool=self.pool,
            stream=torch.cuda.current_stream(),
            capture_error_mode="thread_local",
        ):
            function()
        return graph.replay
