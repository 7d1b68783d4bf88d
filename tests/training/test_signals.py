"""Signals stop, save and are passed on; none is lost, and none counts twice."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import termios
import threading
import time

import pytest

from auxfold.training import signals
from auxfold.training.signals import (
    PASSED_ON,
    PassOnSignals,
    StopRequest,
    StopSignals,
    Terminated,
    blocked_signals,
    exit_code,
    unblock_signals,
)
from child_processes import fork, wait


def send(*numbers: int) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def handlers():
    """Signals that nothing handles must not end the tests."""
    numbers = (signal.SIGTERM, signal.SIGUSR1, PASSED_ON)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    yield
    after = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        signal.signal(number, handler)
    ignored = dict.fromkeys(numbers, signal.SIG_IGN)
    assert after == ignored, "the handlers from before are back"


@pytest.mark.parametrize(
    ("number", "error", "code"),
    [
        (signal.SIGINT, KeyboardInterrupt, 130),
        (signal.SIGTERM, Terminated, 143),
        (signal.SIGHUP, Terminated, 143),
        (PASSED_ON, Terminated, 143),
    ],
)
def test_a_signal_stops_with_its_exit_code(number, error, code):
    with pytest.raises(KeyboardInterrupt) as stop, StopSignals():
        send(number)
        pytest.fail("it goes on")
    assert stop.type is error and exit_code(stop.value) == code


def test_a_signal_whose_exception_is_swallowed_stops_at_the_end():
    steps = []
    with pytest.raises(Terminated), StopSignals():
        try:
            send(signal.SIGTERM)
        except KeyboardInterrupt:
            steps.append("swallowed")
        with StopRequest():
            steps.append("a training must not begin")
    assert steps == ["swallowed"]


def test_a_request_waits_for_the_end_and_is_never_lost():
    with pytest.raises(Terminated), StopRequest() as stop:
        assert not stop.requested
        send(signal.SIGHUP)
        assert stop.requested
    with pytest.raises(ValueError, match="x"), StopRequest():
        send(signal.SIGTERM)
        raise ValueError("x")


def test_a_signal_that_comes_twice_within_a_second_is_one_request():
    with pytest.raises(Terminated), StopRequest():
        send(signal.SIGTERM, signal.SIGTERM, signal.SIGINT)
        finished = True
    assert finished


def test_what_is_passed_on_is_no_second_request(monkeypatch):
    monkeypatch.setattr(signals, "REPEATED_SECONDS", 0)
    with pytest.raises(KeyboardInterrupt), StopRequest():
        send(signal.SIGINT, PASSED_ON)
        finished = True
    assert finished
    for number in (signal.SIGINT, PASSED_ON):
        with pytest.raises(KeyboardInterrupt), StopRequest():
            send(number, number)
            pytest.fail("the second one stops at once")


def test_sigusr1_asks_to_save_and_changes_nothing_else(capfd):
    with StopSignals(), StopRequest(stops=False) as stop:
        send(signal.SIGUSR1)
        assert stop.pop_save_request() and not stop.pop_save_request() and not stop.requested
    with StopSignals():
        send(signal.SIGUSR1)
    assert capfd.readouterr().out.splitlines() == [
        "SIGUSR1: saving after this step, and going on",
        "SIGUSR1: there is nothing to save yet",
    ]


def test_several_processes_stop_at_once():
    with pytest.raises(KeyboardInterrupt), StopSignals(), StopRequest(stops=False):
        send(signal.SIGTERM)
        pytest.fail("it goes on")


def test_nohup_is_obeyed():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with StopSignals():
        send(signal.SIGHUP)
    signal.signal(signal.SIGHUP, before)


def test_a_signal_while_handlers_are_put_back_stops_after_that(monkeypatch):
    put_back = []

    def restore(number: int, handler: object) -> object:
        if not put_back:
            send(signal.SIGTERM)  # before any handler is back
        put_back.append(number)
        return real_signal(number, handler)

    real_signal = signal.signal
    with pytest.raises(Terminated), StopSignals() as stop:
        monkeypatch.setattr(signals.signal, "signal", restore)
    monkeypatch.undo()
    assert stop.number == signal.SIGTERM and len(put_back) == len(stop.signals)


def test_another_thread_handles_no_signals():
    def enter():
        with StopRequest() as stop:
            assert not stop.requested
        entered.append(True)

    entered = []
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered == [True]


def test_signals_are_passed_on_until_the_other_command_has_ended(monkeypatch):
    monkeypatch.setattr(signals, "REPEATED_SECONDS", 0)
    sent = []
    with pytest.raises(KeyboardInterrupt) as stop, PassOnSignals(sent.append):
        send(signal.SIGUSR1, signal.SIGINT, signal.SIGTERM, PASSED_ON)
    assert sent == [signal.SIGUSR1, PASSED_ON, PASSED_ON]
    assert stop.type is KeyboardInterrupt, "the first one decides"


def test_blocked_signals_wait_for_a_process_that_has_no_handlers_yet():
    program = (
        "import os, signal, sys\n"
        "os.kill(os.getpid(), signal.SIGUSR1); os.kill(os.getpid(), signal.SIGTERM)\n"
        "from auxfold.training.signals import *\n"
        "print('lives', flush=True)\n"
        "try:\n"
        "    with StopSignals(): unblock_signals()\n"
        "except Terminated as error: sys.exit(exit_code(error))\n"
    )
    with blocked_signals():
        child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        with pytest.raises(Terminated), StopSignals():
            send(signal.SIGTERM)
            unblock_signals()
            for _ in range(500):  # another thread of the tests may be the one that gets it
                time.sleep(0.01)
    output, _ = child.communicate()
    assert output == "lives\nSIGUSR1: there is nothing to save yet\n" and child.returncode == 143


def test_a_closed_terminal_leaves_time_to_save(tmp_path):
    """Prints to it fail from then on."""
    ours, terminal = os.openpty()
    reader, writer = os.pipe()

    def work() -> None:
        os.setsid()
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        os.close(ours)
        for number in (0, 1, 2):
            os.dup2(terminal, number)
        os.close(terminal)
        with StopRequest() as stop:
            os.write(writer, b"x")
            end = time.monotonic() + 20
            while not stop.requested and time.monotonic() < end:
                time.sleep(0.01)
            os.write(1, b"a line of progress\n")
            (tmp_path / "saved").touch()
            os._exit(exit_code(Terminated()))

    pid = fork(work)
    assert os.read(reader, 1) == b"x"
    os.close(terminal)
    os.close(ours)
    assert wait(pid) == 143 and (tmp_path / "saved").exists()
