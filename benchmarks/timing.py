"""Time several ways to do the same, in turns."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import TypeVar

import torch

Result = TypeVar("Result")


def synchronize(device: torch.device) -> None:
    """Wait until the device has done everything that was launched."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(run: Callable[[], object], device: torch.device) -> float:
    """The seconds of one call, until the device has finished."""
    synchronize(device)
    started = time.perf_counter()
    run()
    synchronize(device)
    return time.perf_counter() - started


def alternate(
    contestants: dict[str, Callable[[], float]], repetitions: int
) -> dict[str, list[float]]:
    """Call every contestant ``repetitions`` times, in turns and in changing order.

    Args:
        contestants: name to a function that returns the seconds that count.
        repetitions: calls of each.

    Returns:
        Name to the seconds of each call.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for repetition in range(repetitions):
        names = list(contestants)
        for name in names if repetition % 2 == 0 else reversed(names):
            seconds[name].append(contestants[name]())
    return seconds


def medians(seconds: dict[str, list[float]]) -> dict[str, float]:
    """The median of each contestant's seconds."""
    return {name: median(values) for name, values in seconds.items()}


class MemoryWatch:
    """The peak of the memory that one contestant takes on a CUDA device, in GiB.

    What it holds between its runs counts (weights, optimizer, CUDA graphs with their memory), what
    other contestants hold does not. On another device the peak is None.

    Args:
        device: where the contestant runs.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.resident = self.peak = 0

    def track(self, function: Callable[[], Result]) -> Result:
        """Call a function; what it leaves on the device belongs to the contestant."""
        before = self._reserved()
        result = function()
        self.resident += self._reserved() - before
        return result

    def measure(self, run: Callable[[], float]) -> float:
        """Call ``run`` and note its peak."""
        if self.device.type != "cuda":
            return run()
        start = torch.cuda.memory_allocated(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        seconds = run()
        peak = torch.cuda.max_memory_allocated(self.device) - start + self.resident
        self.peak = max(self.peak, peak)
        return seconds

    @property
    def peak_gib(self) -> float | None:
        """The highest peak of all runs, in GiB."""
        return round(self.peak / 2**30, 3) if self.device.type == "cuda" else None

    def _reserved(self) -> int:
        if self.device.type != "cuda":
            return 0
        torch.cuda.empty_cache()  # not what it could give back
        return torch.cuda.memory_reserved(self.device)


class PeakAbove:
    """The peak of the memory on a CUDA device above what others hold, in GiB.

    For a contestant that is created after all others, which hold as much between its runs as they
    do now. On another device the peak is None.

    Args:
        device: where the contestant runs.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.others = torch.cuda.memory_allocated(device) if device.type == "cuda" else 0
        self.peak = 0

    def start(self) -> None:
        """A run of the contestant starts."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)

    def stop(self) -> None:
        """A run of the contestant has ended."""
        if self.device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(self.device) - self.others
            self.peak = max(self.peak, peak)

    @property
    def peak_gib(self) -> float | None:
        """The highest peak of all runs, in GiB."""
        return round(self.peak / 2**30, 3) if self.device.type == "cuda" else None
