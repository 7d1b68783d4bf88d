"""Results of a background thread: in order, not too many, and no thread is left over."""

from __future__ import annotations

import gc
import threading
import time
from typing import NamedTuple

import numpy as np
import pytest
import torch

from auxfold.data.prefetch import map_tensors, prefetch, prefetch_to_device

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no GPU"))]  # fmt: skip


def background_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("auxfold-prefetch")]


@pytest.fixture(autouse=True)
def _no_thread_is_left_over():
    assert not background_threads()
    yield
    gc.collect()
    for thread in background_threads():
        thread.join(timeout=5)
    assert not background_threads()


def wait_until(condition) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_results_come_in_order_from_another_thread():
    def make(item: int) -> tuple[int, str]:
        time.sleep(0.002 * (item % 3))
        return item * item, threading.current_thread().name

    results = list(prefetch(make, range(20), depth=3))
    assert [value for value, _ in results] == [n * n for n in range(20)]
    assert {name for _, name in results} == {"auxfold-prefetch_0"}


@pytest.mark.parametrize("n_items", [0, 1, 2, 5])
def test_fewer_items_than_the_depth(n_items):
    assert list(prefetch(str, range(n_items), depth=3)) == [str(n) for n in range(n_items)]


def test_nothing_starts_before_the_first_result_is_asked_for():
    prefetch(str, iter([1, 2]))
    assert not background_threads()


def test_an_exception_is_raised_at_its_place():
    def make(item: int) -> float:
        return 6 / item

    results = prefetch(make, [1, 2, 0, 3], depth=2)
    assert [next(results), next(results)] == [6, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert list(results) == []


def test_no_more_results_than_the_depth_are_made_ahead():
    started: list[int] = []
    results = prefetch(started.append, range(10), depth=2)
    next(results)
    wait_until(lambda: len(started) == 3)
    time.sleep(0.02)
    assert started == [0, 1, 2]
    next(results)
    wait_until(lambda: len(started) == 4)
    results.close()


def test_closing_ends_the_thread_after_the_result_at_hand():
    release, started = threading.Event(), []

    def make(item: int) -> int:
        started.append(item)
        if item:
            release.wait(5)
        return item

    results = prefetch(make, range(10), depth=3)
    assert next(results) == 0
    wait_until(lambda: started == [0, 1])
    results.close()
    release.set()
    wait_until(lambda: not background_threads())
    assert started == [0, 1]


def test_a_deleted_iterator_ends_the_thread():
    results = prefetch(str, range(10))
    next(results)
    assert background_threads()
    del results
    wait_until(lambda: not background_threads())


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError])
def test_an_exception_of_the_consumer_ends_the_thread(interruption):
    def consume() -> None:
        for result in prefetch(int, range(10)):
            if result == 3:
                raise interruption

    with pytest.raises(interruption):
        consume()


class Batch(NamedTuple):
    ids: torch.Tensor
    types: torch.Tensor | None
    size: int


def make_batch(item: int) -> dict:
    ids = torch.arange(1000) + item
    return {"batch": Batch(ids, None, item), "rows": [ids[:2], (ids[2:3], "name")]}


@pytest.mark.parametrize("device", DEVICES)
def test_batches_arrive_on_the_device(device):
    device, items = torch.device(device), range(30)
    sums = torch.zeros(30, dtype=torch.int64, device=device)
    for item, batch in zip(items, prefetch_to_device(make_batch, items, device), strict=True):
        assert batch["batch"].ids.device.type == device.type
        assert (batch["batch"].types, batch["batch"].size) == (None, item)
        assert batch["rows"][1][1] == "name"
        sums[item] = batch["batch"].ids.sum() + batch["rows"][0].sum()
    expected = [sum(range(n, 1000 + n)) + 2 * n + 1 for n in items]
    assert sums.tolist() == expected


def test_on_a_cpu_there_is_no_thread():
    batches = prefetch_to_device(make_batch, range(3), torch.device("cpu"))
    next(batches)
    assert not background_threads()


def test_every_tensor_is_mapped_and_nothing_else():
    array = np.zeros(2)
    batch = [{"a": torch.tensor(1)}, Batch(torch.tensor(2), None, 3), (array, "text", 4)]
    mapped = map_tensors(lambda tensor: tensor + 10, batch)
    assert mapped == [{"a": torch.tensor(11)}, Batch(torch.tensor(12), None, 3), batch[2]]
    assert isinstance(mapped[1], Batch)
    assert mapped[2][0] is array
