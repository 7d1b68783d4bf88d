"""The share of time in which a GPU is idle: intervals, and what is watched of a fold."""

from __future__ import annotations

import numpy as np
import pytest

from auxfold.errors import InputError
from benchmarks import idle
from benchmarks.experiment import make_experiment
from benchmarks.options import add_model_options, make_parser
from conftest import WORDS


@pytest.mark.parametrize(
    ("intervals", "busy"),
    [
        ([], 0),
        ([(5, 9)], 4),
        ([(0, 2), (4, 6)], 4),
        ([(0, 5), (3, 8)], 8),
        ([(0, 10), (2, 3), (4, 12), (20, 21)], 13),
        ([(20, 21), (4, 12), (0, 10), (2, 3)], 13),
    ],
)
def test_busy_time_is_the_union_of_intervals(intervals, busy):
    starts, ends = np.array(intervals, dtype=int).reshape(-1, 2).T
    assert idle.busy_nanoseconds(starts, ends) == busy


def test_a_cpu_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="benchmarks idle needs a CUDA device"):
        idle.main(["--random", "tiny", "--device", "cpu"])


def test_one_epoch_is_timed_and_one_profiled(tmp_path, monkeypatch, backbone):
    monkeypatch.chdir(tmp_path)
    profiled: list[str] = []

    class Profiler:
        def __init__(self, **_):
            pass

        def start(self):
            profiled.append("start")

        def stop(self):
            profiled.append("stop")

    monkeypatch.setattr(idle, "profile", Profiler)
    intervals = (np.array([0, 5]), np.array([10, 20]))
    monkeypatch.setattr(idle, "device_intervals", lambda profiler: intervals)
    parser = make_parser("idle", "", "")
    add_model_options(parser)
    args = parser.parse_args(["--max-length", "24", "--precision", "fp32", "--batch-size", "40"])
    train = {"epochs": 3, "evaluations_per_epoch": 2}
    experiment = make_experiment(args, backbone, train=train)
    texts = [" ".join(WORDS[n % 7 :]) + f" {n}" for n in range(200)]
    watch = idle.train_watched(experiment, texts, seed=0)
    assert list(watch.seconds) == [1, 2] and all(watch.seconds.values())
    assert profiled == ["start", "stop"]
    assert watch.busy_seconds == 20e-9 and watch.amp_dtype == "fp32"
