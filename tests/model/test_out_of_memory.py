"""Which errors say that memory is exhausted, and that a failed attempt leaves nothing behind."""

from __future__ import annotations

import weakref

import pytest
import torch

from auxfold.model.out_of_memory import attempt, is_out_of_memory


def test_the_errors_of_torch_and_of_its_libraries():
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"))
    assert is_out_of_memory(RuntimeError("CUDA error: out of memory\nCompile with"))
    assert not is_out_of_memory(RuntimeError("CUDA error: an illegal memory access"))
    assert not is_out_of_memory(ValueError("CUDA error: out of memory"))


def test_an_error_that_followed_it():
    with pytest.raises(RuntimeError) as capture:
        try:
            raise torch.OutOfMemoryError
        finally:
            raise RuntimeError("the capture was invalidated")
    assert is_out_of_memory(capture.value)


def test_a_failed_attempt_holds_no_tensor():
    tensors = []

    def fail() -> int:
        activations = torch.zeros(10)
        tensors.append(weakref.ref(activations))
        raise torch.OutOfMemoryError

    assert attempt(fail) is None and tensors[0]() is None
    assert attempt(lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        attempt(lambda: 1 // 0)
