"""Turns, medians and peaks."""

from __future__ import annotations

import torch

from benchmarks.timing import MemoryWatch, alternate, medians, seconds_of

CPU = torch.device("cpu")


def test_contestants_take_turns_in_changing_order():
    calls: list[str] = []

    def contestant(name: str):
        def run() -> float:
            calls.append(name)
            return float(len(calls))

        return run

    seconds = alternate({name: contestant(name) for name in "abc"}, repetitions=3)
    assert "".join(calls) == "abccbaabc"
    assert seconds == {"a": [1, 6, 7], "b": [2, 5, 8], "c": [3, 4, 9]}
    assert medians(seconds) == {"a": 6, "b": 5, "c": 4}


def test_seconds_of_a_call():
    calls: list[int] = []
    assert seconds_of(lambda: calls.append(1), CPU) >= 0
    assert calls == [1]


def test_memory_of_a_cpu_is_not_measured():
    watch = MemoryWatch(CPU)
    assert watch.track(lambda: "result") == "result"
    assert watch.measure(lambda: 2.5) == 2.5
    assert watch.peak_gib is None
