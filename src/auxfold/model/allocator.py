"""The manners of the C allocator and of oneDNN's cache, for training on a CPU."""

from __future__ import annotations

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc's malloc.h
LARGEST = 2**31 - 1
CACHED_KERNELS = "128"


def keep_freed_memory() -> None:
    """Let glibc keep freed memory instead of giving every large tensor back to the kernel.

    Each training step frees and allocates the same sizes again; by default every one of them is
    mapped and zeroed anew. On two cores, steps of a 6-layer backbone became 1.2 to 2 times as fast.
    Does nothing on other C libraries.

    oneDNN keeps a kernel, with its scratch memory, for each of the last 1024 shapes, and batches of
    many lengths have many shapes: 128 of them are as fast, at 1.1 GB less after an epoch. Must be
    called before the first matrix product.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", CACHED_KERNELS)
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, LARGEST)
