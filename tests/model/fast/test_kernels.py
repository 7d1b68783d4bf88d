"""Where the Triton kernels run, and what is said where they do not."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch

from auxfold.model.fast.kernels import load_kernels

GPU = torch.device("cuda", 0)
NAME = "auxfold.model.fast.region_kernels"


@pytest.fixture(autouse=True)
def forget():
    load_kernels.cache_clear()
    yield
    load_kernels.cache_clear()


def test_none_on_a_cpu():
    assert load_kernels("region_kernels", torch.device("cpu")) is None


def test_a_card_that_cannot_run_them_is_said_once(monkeypatch):
    def fail(device: torch.device) -> None:
        raise RuntimeError("no compiler\nfound")

    monkeypatch.setitem(sys.modules, NAME, SimpleNamespace(try_all=fail))
    with pytest.warns(UserWarning, match=r"region_kernels do not run on cuda:0 \(RuntimeError: no"):
        assert load_kernels("region_kernels", GPU) is None
    assert load_kernels("region_kernels", GPU) is None  # a second warning would be an error


def test_the_trial_may_come_from_a_prediction(monkeypatch):
    """Its backward pass cannot run on tensors of inference mode."""
    slopes = []

    def try_all(device: torch.device) -> None:
        x = torch.ones(2, requires_grad=True)
        (3 * x).sum().backward()
        slopes.append(x.grad.tolist())

    module = SimpleNamespace(try_all=try_all)
    monkeypatch.setitem(sys.modules, NAME, module)
    with torch.inference_mode():
        assert load_kernels("region_kernels", GPU) is module
    assert slopes == [[3.0, 3.0]]
