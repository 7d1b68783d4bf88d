"""The C allocator's manners, for training on a CPU."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc's malloc.h
LARGEST = 2**31 - 1


def keep_freed_memory() -> None:
    """Let glibc keep freed memory instead of giving every large tensor back to the kernel.

    Each training step frees and allocates the same sizes again; by default every one of them is
    mapped and zeroed anew. On two cores, steps of a 6-layer backbone with dropout became 1.2 to 2
    times as fast. Does nothing on other C libraries.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, LARGEST)
