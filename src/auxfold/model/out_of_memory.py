"""Notice that a GPU has run out of memory, and free what the failed attempt holds."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")

# Libraries that allocate past torch's allocator raise a plain RuntimeError.
MESSAGES = ("CUBLAS_STATUS_ALLOC_FAILED", "CUDA error: out of memory")


def attempt(function: Callable[[], Result]) -> Result | None:
    """What a function returns, or None where a GPU runs out of memory in it.

    Args:
        function: never returns None.
    """
    try:
        return function()
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    # Not in the handler: there the traceback still holds the tensors of the failed attempt.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that it followed, says that a GPU's memory is exhausted.

    A CUDA graph whose capture runs out of memory raises another error when the capture ends.
    """
    while error is not None:
        if isinstance(error, torch.OutOfMemoryError):
            return True
        if isinstance(error, RuntimeError) and any(text in str(error) for text in MESSAGES):
            return True
        error = error.__cause__ or error.__context__
    return False
