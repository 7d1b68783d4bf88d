"""Logits for rows of a table, computed sorted by length and given back in the order asked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from auxfold.data.batches import TokenizedDataset, cut_by_tokens
from auxfold.model.precision import autocast


@torch.inference_mode()
def predict_logits(
    model: nn.Module,
    rows: TokenizedDataset,
    indices: np.ndarray,
    *,
    tasks: list[str],
    max_tokens: int,
    precision: str,
    on_batch: Callable[[int], object] = lambda done: None,
) -> dict[str, np.ndarray]:
    """Logits of the named tasks only; of pairs read in both orders, their mean.

    Args:
        model: a :class:`MultiTaskModel` on its device.
        rows: the tokenised table.
        indices: which rows, in the order in which their logits are wanted.
        tasks: the heads to compute.
        max_tokens: padded tokens of one batch.
        precision: ``bf16``, ``fp16`` or ``fp32``.
        on_batch: told the number of rows of each finished batch.

    Returns:
        Task name to float32 ``(len(indices), width)``.
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    lengths = rows.lengths()
    made: dict[str, np.ndarray] = {}
    for places in cut_by_tokens(np.arange(len(indices)), lengths[indices], max_tokens):
        orders = (False, True) if rows.symmetric_pairs else (False,)
        passes = []
        for turned in orders:
            batch = {k: v.to(device) for k, v in rows.batch(indices[places], turned).items()}
            with autocast(precision, device):
                passes.append(model(**batch, tasks=tasks))
        for name in passes[0]:
            values = sum(one[name] for one in passes) / len(passes)
            if name not in made:
                made[name] = np.empty((len(indices), values.shape[1]), dtype=np.float32)
            made[name][places] = values.float().cpu().numpy()
        on_batch(len(places))
    model.train(was_training)
    return made
