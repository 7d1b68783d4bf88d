"""Logits for rows of a table, computed in batches of similar length."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import numpy as np
import torch

from auxfold.data.batches import halve_largest, split_by_packed_tokens, split_by_tokens
from auxfold.data.dataset import TokenizedDataset
from auxfold.data.prefetch import prefetch_to_device
from auxfold.errors import InputError
from auxfold.model.amp import autocast
from auxfold.model.memory import free_memory, prediction_tokens
from auxfold.model.multitask import MultiTaskModel
from auxfold.model.out_of_memory import attempt
from auxfold.tasks import Task

# Large enough for matrix products at their full rate, and small enough that the sums between them
# stay in the cache, and that 100 rows are not padded to the longest (docs: performance).
CPU_MAX_TOKENS = 1024
FETCHED_ROWS = 100_000  # rows whose logits wait on the device


def predict_logits(
    model: MultiTaskModel,
    dataset: TokenizedDataset,
    indices: np.ndarray,
    *,
    tasks: list[str],
    max_tokens: int | Literal["auto"],
    amp_dtype: str,
    packed: bool = False,
    on_batch: Callable[[int], object] = lambda n_rows: None,
) -> dict[str, np.ndarray]:
    """Logits of the named tasks only; of symmetric pairs, the mean over both orders.

    Of a row with several windows, the mean or the maximum over them, as the dataset says.

    Args:
        model: a :class:`MultiTaskModel` on its device.
        dataset: the tokenized table.
        indices: the rows to predict.
        tasks: names of the tasks whose heads are computed.
        max_tokens: maximal number of tokens per batch, padding included; ``"auto"``: 1024 on a
            CPU, else as many as the free memory suggests.
        amp_dtype: ``bf16``, ``fp16`` or ``fp32``.
        packed: whether the rows of a batch are packed without padding; the model must have a fast
            encoder.
        on_batch: called with the number of rows of each batch, on a GPU when it is launched. A row
            with several windows counts with the first one.

    Returns:
        Task name to float32 ``(len(indices), width)``, in the order of ``indices``.
    """
    (logits,) = predict_fold_logits(
        [model],
        dataset,
        indices,
        tasks=tasks,
        max_tokens=max_tokens,
        amp_dtype=amp_dtype,
        packed=packed,
        on_batch=on_batch,
    )
    return logits


@torch.inference_mode()
def predict_fold_logits(
    models: Sequence[MultiTaskModel],
    dataset: TokenizedDataset,
    indices: np.ndarray,
    *,
    tasks: list[str],
    max_tokens: int | Literal["auto"],
    amp_dtype: str,
    packed: bool = False,
    on_batch: Callable[[int], object] = lambda n_rows: None,
) -> list[dict[str, np.ndarray]]:
    """The logits of several models of one architecture, which read each batch in turn.

    Batches are made once, on a GPU in a background thread, which also copies them ahead. Logits
    stay on the device until there are some 100,000 rows of them, so that the host does not wait
    for any batch. Where the GPU runs out of memory, the rows that are left are predicted in smaller
    batches.

    Args:
        models: on one device.
        dataset: see :func:`predict_logits`, as all that follows.
        indices: the rows to predict.
        tasks: names of the tasks.
        max_tokens: maximal number of tokens per batch.
        amp_dtype: the number format.
        packed: whether the rows of a batch are packed without padding.
        on_batch: called with the number of rows of each batch times the number of models.

    Returns:
        For every model, task name to float32 ``(len(indices), width)``.

    Raises:
        InputError: a single row does not fit into the memory.
    """
    device = models[0].device
    if max_tokens == "auto":
        max_tokens = choose_max_tokens(models[0], amp_dtype, dataset.max_length)
    limit: int = min(max_tokens, models[0].max_prediction_tokens or max_tokens)
    windows = dataset.all_windows(indices)
    lengths = dataset.lengths()[windows.rows]
    split = split_by_packed_tokens if packed else split_by_tokens
    waiting = deque(split(np.arange(len(lengths)), lengths, limit))
    orders = (False, True) if dataset.symmetric_pairs else (False,)

    def make(positions: np.ndarray) -> list[dict[str, Any]]:
        """The inputs of the forward passes of a batch."""
        rows, numbers = windows.rows[positions], windows.numbers[positions]
        if packed:
            return [
                {"packed": dataset.packed(rows, swapped, windows=numbers)} for swapped in orders
            ]
        return [dataset.batch(rows, swapped, numbers) for swapped in orders]

    collectors = [_LogitCollector(len(lengths)) for _ in models]

    def predict_waiting() -> bool:
        batches = list(waiting)
        for positions, passes in zip(
            batches, prefetch_to_device(make, batches, device), strict=True
        ):
            for model, collector in zip(models, collectors, strict=True):
                with autocast(amp_dtype, device):
                    outputs = [model(**inputs, tasks=tasks) for inputs in passes]
                collector.add(positions, outputs)
            waiting.popleft()
            n_rows = int((windows.numbers[positions] == 0).sum())  # with their first window
            on_batch(n_rows * len(models))
        return True

    with _evaluation_mode(models), _current(device):
        while not attempt(predict_waiting):
            limit = _reduce_max_tokens(models[0], waiting, lengths, packed)
            waiting = deque(split(np.concatenate(waiting), lengths, limit))
    return [
        {
            name: windows.reduce(logits, dataset.window_reduction)
            for name, logits in collector.logits().items()
        }
        for collector in collectors
    ]


def _reduce_max_tokens(
    model: MultiTaskModel, batches: Iterable[np.ndarray], lengths: np.ndarray, packed: bool
) -> int:
    """A smaller size of batches after the GPU ran out of memory, which the model remembers.

    Args:
        model: the first of those that predict.
        batches: what is left to predict.
        lengths: tokens of each row.
        packed: whether rows have no padding.

    Raises:
        InputError: there is nothing left to halve, or other processes wait for this one.
    """
    max_tokens = halve_largest(batches, lengths, packed)
    if max_tokens is None:
        raise InputError(
            "the GPU has too little memory to predict a single row at a time; free the GPU, or "
            "predict on another device"
        )
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        # Predictions of other batches differ in the last bit, and with them the decisions.
        raise InputError(
            f"a process ran out of GPU memory in an evaluation, and all stop; give --resume and "
            f"--set inference.max_tokens_per_batch={max_tokens} (the last saved state is kept)"
        )
    model.max_prediction_tokens = max_tokens
    warnings.warn(
        f"the GPU ran out of memory: predictions go on with at most {max_tokens} tokens in a batch "
        f"(inference.max_tokens_per_batch)",
        stacklevel=2,
    )
    return max_tokens


def choose_max_tokens(model: MultiTaskModel, amp_dtype: str, max_length: int) -> int:
    """The tokens of a batch for ``inference.max_tokens_per_batch = "auto"``.

    Args:
        model: on its device.
        amp_dtype: ``bf16``, ``fp16`` or ``fp32``.
        max_length: the most tokens of a row.
    """
    if model.device.type != "cuda":
        return CPU_MAX_TOKENS
    return prediction_tokens(model.backbone, amp_dtype, max_length, free_memory(model.device))


@contextmanager
def _evaluation_mode(models: Sequence[MultiTaskModel]) -> Iterator[None]:
    """Switch dropout off, and afterwards back to what it was."""
    modes = [model.training for model in models]
    for model in models:
        model.eval()
    try:
        yield
    finally:
        for model, was_training in zip(models, modes, strict=True):
            model.train(was_training)


def _current(device: torch.device) -> AbstractContextManager[Any]:
    """Make a GPU the current one: Triton launches its kernels there."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


class _LogitCollector:
    """The logits of one model, fetched from its device many rows at a time."""

    def __init__(self, n_rows: int) -> None:
        self.n_rows = n_rows
        self.widths: dict[str, int] = {}
        self.values = np.empty((0, 0), dtype=np.float32)
        self._waiting: list[tuple[np.ndarray, torch.Tensor]] = []

    def add(self, positions: np.ndarray, passes: list[dict[str, torch.Tensor]]) -> None:
        """Take the logits of a batch, from one pass or the mean of several."""
        means = {
            name: sum((outputs[name] for outputs in passes[1:]), first).div(len(passes)).float()
            for name, first in passes[0].items()
        }
        if not self.widths:
            self.widths = {name: mean.shape[1] for name, mean in means.items()}
            self.values = np.empty((self.n_rows, sum(self.widths.values())), dtype=np.float32)
        self._waiting.append((positions, torch.cat([*means.values()], dim=1)[: len(positions)]))
        if sum(len(rows) for rows, _ in self._waiting) >= FETCHED_ROWS:
            self._fetch()

    def _fetch(self) -> None:
        """Copy the logits that wait on the device, in one transfer."""
        if self._waiting:
            rows = np.concatenate([positions for positions, _ in self._waiting])
            self.values[rows] = torch.cat([values for _, values in self._waiting]).cpu().numpy()
            self._waiting = []

    def logits(self) -> dict[str, np.ndarray]:
        """Task name to ``(rows, width)``."""
        self._fetch()
        ends = np.cumsum([*self.widths.values()])[:-1]
        parts = np.split(self.values, ends, axis=1)
        return {
            name: np.ascontiguousarray(part)
            for name, part in zip(self.widths, parts, strict=bool(self.widths))
        }


def concatenate_logits(logits: dict[str, np.ndarray], names: Iterable[str]) -> np.ndarray:
    """The logits of the named tasks side by side, ``(rows, widths of all)``."""
    return np.concatenate([logits[name] for name in names], axis=1)


def split_logits(logits: np.ndarray, tasks: Iterable[Task]) -> dict[str, np.ndarray]:
    """Task name to its logits ``(rows, n_outputs)``: the inverse of :func:`concatenate_logits`."""
    tasks = list(tasks)
    edges = np.cumsum([0, *(task.n_outputs for task in tasks)])
    return {
        task.name: logits[:, start:stop]
        for task, start, stop in zip(tasks, edges[:-1], edges[1:], strict=True)
    }
