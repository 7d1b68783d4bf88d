"""Says on stderr what a benchmark is doing, with the seconds since its start."""

from __future__ import annotations

import re
import sys
import time

STARTED = time.perf_counter()
LINE = re.compile(r"^\[ *([\d.]+) s\] (.+)$", re.MULTILINE)


def start_phase(name: str) -> None:
    """Print that a phase begins."""
    print(f"[{time.perf_counter() - STARTED:5.1f} s] {name}", file=sys.stderr, flush=True)


def phase_seconds(output: str, end: float) -> dict[str, float]:
    """The seconds of every phase.

    Args:
        output: the lines of :func:`start_phase`, among others.
        end: when the last phase ended, in seconds since the start.

    Returns:
        The phases in their order; those of the same name together.
    """
    lines = [(float(seconds), name) for seconds, name in LINE.findall(output)]
    ends = [seconds for seconds, _ in lines[1:]] + [end]
    phases: dict[str, float] = {}
    for (start, name), stop in zip(lines, ends, strict=False):
        phases[name] = round(phases.get(name, 0.0) + stop - start, 1)
    return phases
