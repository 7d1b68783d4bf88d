"""Commands that start other commands, each in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys


def call_command(command: str, *arguments: str, environment: dict[str, str] | None = None) -> None:
    """Run a command in a process of its own, and exit as it does where it fails.

    A signal gives the child the time to save: Ctrl-C reaches it from the terminal as well, and
    SIGTERM is passed on.
    """
    if code := wait_for(start_command(command, *arguments, environment=environment)):
        sys.exit(code)


def start_command(
    command: str,
    *arguments: str,
    environment: dict[str, str] | None = None,
    capture_output: bool = False,
) -> subprocess.Popen[str]:
    """Start a command in a process of its own; ``capture_output`` keeps what it prints."""
    line = [sys.executable, "-m", "auxfold", command, *arguments]
    stdout = subprocess.PIPE if capture_output else None
    return subprocess.Popen(line, env=environment, stdout=stdout, text=True)


def wait_for(child: subprocess.Popen[str]) -> int:
    """The child's exit code; a signal gives it the time to save."""
    before = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    try:
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:
                continue
    finally:
        signal.signal(signal.SIGTERM, before)
