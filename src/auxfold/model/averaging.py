"""The mean of stored weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch


def average_states(states: Iterable[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The mean of state dictionaries, tensor by tensor.

    Only one of them and the mean are in memory. Tensors that hold no floating-point numbers are
    those of the last one.

    Args:
        states: with equal names and shapes. The tensors of the first one become the mean, in place.
    """
    mean: dict[str, torch.Tensor] = {}
    for count, state in enumerate(states, start=1):
        for name, values in state.items():
            if name in mean and values.is_floating_point():
                mean[name] += (values - mean[name]) / count
            else:
                mean[name] = values
    return mean
