"""The progress of a long run: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

PLAIN_SECONDS = 20.0  # how often a log file gets a line


class Display:
    """Shows the progress over rows, with the loss per task, rows/s and the time left.

    Args:
        title: what runs, e.g. ``fold 0``.
        total: the number of rows.
        done: rows that were finished before (a resumed run).
        quiet: show nothing (all processes except the first).
        headline: the metrics that a line has room for.
    """

    def __init__(
        self,
        title: str,
        total: int,
        done: int = 0,
        quiet: bool = False,
        headline: Sequence[str] = (),
    ) -> None:
        self.headline = headline
        self.title, self.total, self.done, self.quiet = title, total, done, quiet
        self.started, self.first = time.monotonic(), done
        self.last_printed_at = self.started
        self.losses: dict[str, float] = {}
        self.bar: Any = None
        if sys.stdout.isatty() and not quiet:
            # Not at the top: a notebook without a terminal needs no rich.
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
            self.bar = Progress(*columns, console=Console())
            self.item = self.bar.add_task(title, total=total, completed=done)
            self.bar.start()

    def advance(self, rows: int) -> None:
        """Count finished rows."""
        self.done += rows
        now = time.monotonic()
        if self.bar:
            self.bar.update(self.item, completed=self.done, description=self._line(now))
        elif now - self.last_printed_at > PLAIN_SECONDS:
            self.last_printed_at = now
            left = (self.total - self.done) / max(self._rate(now), 1e-9)
            self.say(f"{self._line(now)}  {self.done / self.total:.0%}, {left:.0f} s left")

    def step(self, progress: Any) -> None:
        """Count one training step; ``progress`` holds the losses since the last evaluation."""
        self.losses = {k: v / progress.window_steps for k, v in progress.losses.items()}
        self.advance(progress.rows - self.done)

    def evaluation(self, record: dict[str, Any], is_best: bool) -> None:
        """Show one evaluation."""
        losses = " ".join(f"{k} {v:.4f}" for k, v in record["train_loss"].items())
        metrics = record.get("metrics") or {}
        scores = [f"{k} {metrics[k]:.4f}" for k in self.headline if metrics.get(k) is not None]
        mark = "  (best so far)" if metrics and is_best else ""
        self.say(
            f"{self.title}  epoch {record['epoch']:.2f}  train loss {losses}  "
            f"{' '.join(scores)}{mark}"
        )

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        if self.quiet:
            return
        if self.bar:
            self.bar.console.print(text, highlight=False)
        else:
            print(text, flush=True)

    def close(self) -> None:
        """End the bar."""
        if self.bar:
            self.bar.stop()

    def _rate(self, now: float) -> float:
        return (self.done - self.first) / max(now - self.started, 1e-9)

    def _line(self, now: float) -> str:
        losses = "".join(f"  {name} {value:.4f}" for name, value in self.losses.items())
        rate = self._rate(now)
        return f"{self.title}{losses}  {rate:.{0 if rate >= 10 else 1}f} rows/s"
