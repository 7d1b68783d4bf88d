"""Logits for rows of a table, computed in batches of similar length."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import nn

from auxfold.data.batches import split_by_tokens
from auxfold.data.dataset import TokenizedDataset
from auxfold.model.amp import autocast
from auxfold.tasks import Task


@torch.inference_mode()
def predict_logits(
    model: nn.Module,
    dataset: TokenizedDataset,
    indices: np.ndarray,
    *,
    tasks: list[str],
    max_tokens: int,
    amp_dtype: str,
    on_batch: Callable[[int], object] = lambda n_rows: None,
) -> dict[str, np.ndarray]:
    """Logits of the named tasks only; for symmetric pairs, the mean over both orders.

    Args:
        model: a :class:`MultiTaskModel` on its device.
        dataset: the tokenized table.
        indices: the rows to predict.
        tasks: names of the tasks whose heads are computed.
        max_tokens: maximal number of padded tokens per batch.
        amp_dtype: ``bf16``, ``fp16`` or ``fp32``.
        on_batch: called with the number of rows of each finished batch.

    Returns:
        Task name to float32 ``(len(indices), width)``, in the order of ``indices``.
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    lengths = dataset.lengths()
    orders = (False, True) if dataset.symmetric_pairs else (False,)
    logits: dict[str, np.ndarray] = {}
    for positions in split_by_tokens(np.arange(len(indices)), lengths[indices], max_tokens):
        passes = []
        for swapped in orders:
            batch = dataset.batch(indices[positions], swapped)
            batch = {name: values.to(device) for name, values in batch.items()}
            with autocast(amp_dtype, device):
                passes.append(model(**batch, tasks=tasks))
        for name in passes[0]:
            mean = sum(outputs[name] for outputs in passes) / len(passes)
            if name not in logits:
                logits[name] = np.empty((len(indices), mean.shape[1]), dtype=np.float32)
            logits[name][positions] = mean.float().cpu().numpy()
        on_batch(len(positions))
    model.train(was_training)
    return logits


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
