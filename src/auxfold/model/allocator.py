"""Tune glibc malloc and oneDNN caching for training on a CPU."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc's malloc.h
MAX_INT = 2**31 - 1
CACHED_KERNELS = "128"
PRELOADED = ("jemalloc", "tcmalloc", "mimalloc")  # allocators that people load in place of malloc


def tune_cpu_memory() -> None:
    """Let glibc keep freed memory instead of returning every large tensor to the kernel.

    Each training step frees and allocates the same sizes again. By default the kernel maps and
    zeroes every one of them again. Without that, steps of a 6-layer backbone were 1.2 to 2 times
    as fast on two cores. The function does nothing with other C libraries.

    oneDNN caches a kernel, with its scratch memory, for each of the last 1024 shapes, and batches
    of many lengths have many shapes. A cache of 128 kernels is as fast and takes 1.1 GB less after
    an epoch. The setting has an effect only before the first matrix product.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", CACHED_KERNELS)
    mallopt = _load_mallopt()
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, MAX_INT)


def describe_allocator(device_type: str) -> str:
    """What gives memory to tensors on a device of this type, in words."""
    if device_type == "cuda":
        settings = os.environ.get("PYTORCH_CUDA_ALLOC_CONF", "")
        return f"torch {torch.cuda.get_allocator_backend()} {settings}".rstrip()
    maps = Path("/proc/self/maps")
    mapped = maps.read_text() if maps.exists() else ""
    for name in PRELOADED:
        if name in mapped:
            return name
    return "malloc" if _load_mallopt() is None else "glibc malloc, which keeps freed memory"


def _load_mallopt() -> Callable[[int, int], int] | None:
    """What sets glibc's malloc; None with other C libraries."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return None
