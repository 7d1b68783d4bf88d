"""Numbers of a task as tensors, copied to a device only once."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch


def constant(values: Any, device: torch.device) -> torch.Tensor:
    """Numbers as a float32 tensor on a device, the same one whenever they are equal.

    A second copy would make the host wait, and a CUDA graph cannot hold it. Nobody may write into
    the tensor.

    Args:
        values: an array, or a list of numbers.
        device: where to put it.
    """
    array = np.asarray(values, dtype=np.float32)
    return _constant(array.tobytes(), array.shape, device)


@lru_cache(maxsize=1024)
def _constant(content: bytes, shape: tuple[int, ...], device: torch.device) -> torch.Tensor:
    with torch.inference_mode(False):  # else a training could not use it
        values = torch.from_numpy(np.frombuffer(content, dtype=np.float32).copy())
        return values.reshape(shape).to(device)
