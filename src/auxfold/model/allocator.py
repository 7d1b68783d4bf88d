"""Tune glibc malloc and oneDNN caching for training on a CPU."""

from __future__ import annotations

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc's malloc.h
MAX_INT = 2**31 - 1
CACHED_KERNELS = "128"


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
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, MAX_INT)
