"""One step: it reads no value from the device, and all its micro-batches are one batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from conftest import make_stepper

READS = {"aten::_local_scalar_dense", "aten::is_nonzero", "aten::nonzero", "aten::equal"}


class RefuseReads(TorchDispatchMode):
    """Fails where the host would wait for the device to read a value.

    What transformers does within a backbone (it looks whether a batch has padding) is left out.
    """

    is_within_backbone = False

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if not self.is_within_backbone:
            assert function._schema.name not in READS, f"{function} waits for the device"
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("tokens", [8192, 100])
def test_a_step_reads_no_value_from_the_device(work_dir, backbone, monkeypatch, tokens):
    """Not even the first one, which measures the gradients of the tasks."""
    stepper = make_stepper(backbone, train={"max_tokens_per_batch": tokens})
    original = type(stepper.unwrapped_model.backbone).forward

    def forward(self, *args, **kwargs):
        monkeypatch.setattr(RefuseReads, "is_within_backbone", True)
        outputs = original(self, *args, **kwargs)
        monkeypatch.setattr(RefuseReads, "is_within_backbone", False)
        return outputs

    monkeypatch.setattr(type(stepper.unwrapped_model.backbone), "forward", forward)
    with RefuseReads():
        stepper.train_step(np.arange(20))
        result = stepper.train_step(np.arange(20, 40))
    with RefuseReads(), pytest.raises(AssertionError, match="waits for the device"):
        float(result.grad_norm)
    first, second = stepper.log.read()
    assert set(second.losses) == {"main", "aux"} and second.grad_norm > 0 and second.is_finite
    assert second.losses["main"] == float(result.losses["main"]) != first.losses["main"]
    assert second.indices.tolist() == list(range(20, 40)) and stepper.log.read() == []


def test_a_step_that_is_not_finite_is_not_taken(work_dir, backbone):
    stepper = make_stepper(backbone)
    stepper.train_step(np.arange(20))
    before = {name: values.clone() for name, values in stepper.model.state_dict().items()}
    rates, forward = stepper.schedule.get_last_lr(), stepper.forward
    stepper.forward = lambda *args: {k: v * float("inf") for k, v in forward(*args).items()}
    stepper.train_step(np.arange(20))
    _, record = stepper.log.read()
    assert not record.is_finite and not np.isfinite(sum(record.losses.values()))
    assert stepper.schedule.get_last_lr() == rates == pytest.approx([record.learning_rate] * 4)
    for name, values in stepper.model.state_dict().items():
        assert torch.equal(values, before[name]), name
    stepper.forward = forward
    stepper.train_step(np.arange(20))
    (record,) = stepper.log.read()
    assert record.is_finite and np.isfinite([*record.losses.values(), record.grad_norm]).all()
    assert stepper.schedule.get_last_lr() != rates
    assert not torch.equal(stepper.model.heads["main"].weight, before["heads.main.weight"])
