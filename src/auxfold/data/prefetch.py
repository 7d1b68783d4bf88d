"""Batches that are made, and copied to a GPU, while the batches before them are used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any, TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

DEPTH = 2  # batches ahead: one that waits, and one that is being made


def prefetch(
    make: Callable[[Item], Result], items: Iterable[Item], depth: int = DEPTH
) -> Generator[Result, None, None]:
    """The results of ``make(item)``, in order, made in a background thread.

    The thread starts with the first result that is asked for. It ends with the last one, and after
    the result at hand when the iterator is closed or deleted.

    Args:
        make: is called in the background thread. What it raises is raised in place of its result.
        items: is iterated in the thread that asks for results.
        depth: at most so many results are made ahead of the one that was asked for last.
    """
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="auxfold-prefetch")
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(make, item))
            if len(pending) > depth:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        # Not waiting: the garbage collector may close the iterator in the pool's thread.
        pool.shutdown(wait=False, cancel_futures=True)


def prefetch_to_device(
    make: Callable[[Item], Result],
    items: Iterable[Item],
    device: torch.device,
    depth: int = DEPTH,
) -> Iterator[Result]:
    """The batches ``make(item)``, in order, on a device.

    For a GPU they are made in a background thread, which copies them from pinned memory on a
    stream of its own. The stream that is current when a batch is asked for waits for its copy, the
    host does not. While a CUDA graph is captured the thread goes on, so a capture needs
    ``capture_error_mode="thread_local"``. For the CPU this is ``map(make, items)``.

    Args:
        make: makes a batch on the CPU: a tensor, or tuples, named tuples, lists and dictionaries
            of tensors and other values.
        items: is iterated in the thread that asks for batches.
        device: where the tensors go.
        depth: at most so many batches are made ahead of the one that was asked for last.
    """
    if device.type != "cuda":
        return map(make, items)
    return _copy_ahead(make, items, device, depth)


def _copy_ahead(
    make: Callable[[Item], Result], items: Iterable[Item], device: torch.device, depth: int
) -> Iterator[Result]:
    stream = torch.cuda.Stream(device)

    def copy(item: Item) -> tuple[Result, torch.cuda.Event]:
        batch = map_tensors(torch.Tensor.pin_memory, make(item))
        with torch.cuda.stream(stream):
            batch = map_tensors(lambda tensor: tensor.to(device, non_blocking=True), batch)
            return batch, stream.record_event()

    with closing(prefetch(copy, items, depth)) as copies:
        for batch, is_copied in copies:
            consumer = torch.cuda.current_stream(device)
            consumer.wait_event(is_copied)
            # The memory belongs to the stream of the copies, which must not reuse it too early.
            map_tensors(partial(_record_stream, stream=consumer), batch)
            yield batch


def _record_stream(tensor: torch.Tensor, stream: torch.cuda.Stream) -> None:
    tensor.record_stream(stream)


def map_tensors(function: Callable[[torch.Tensor], Any], batch: Any) -> Any:
    """``batch`` with ``function`` applied to every tensor in it; other values stay as they are.

    Args:
        function: takes a tensor.
        batch: a tensor, or tuples, named tuples, lists and dictionaries of tensors and others.
    """
    if isinstance(batch, torch.Tensor):
        return function(batch)
    if isinstance(batch, dict):
        return {name: map_tensors(function, value) for name, value in batch.items()}
    if isinstance(batch, list | tuple):
        values = [map_tensors(function, value) for value in batch]
        return type(batch)(*values) if hasattr(batch, "_fields") else type(batch)(values)
    return batch
