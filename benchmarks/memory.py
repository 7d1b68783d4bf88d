"""The memory of a training step: as ``--dry-run`` estimates it, and as a real step needs it.

On a GPU the peak is what torch's allocator has given out. On a CPU it is counted: the bytes of all
tensors that are alive at the same time, from the first operation of the step to its last.
"""

from __future__ import annotations

import argparse
import weakref
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AutoTokenizer

from auxfold.training.memory_estimate import estimate_step_memory
from benchmarks.experiment import make_experiment
from benchmarks.options import (
    add_model_options,
    load_texts,
    make_parser,
    resolve_backbone,
    resolve_device,
)
from benchmarks.our_training import OurTraining, run_steps
from benchmarks.phases import start_phase
from benchmarks.record import make_record, run_measurement

EXAMPLES = """  python -m benchmarks memory --random bert-base --set train.precision=bf16
  python -m benchmarks memory --random smollm2-135m --batch-size 8 \\
      --set model.adapter.kind=lora --set train.gradient_checkpointing=true
"""


def main(argv: list[str] | None = None) -> None:
    """Measure and publish."""
    parser = make_parser("memory", __doc__ or "", EXAMPLES)
    add_model_options(parser)
    run_measurement(parser, measure, argv)


def measure(args: argparse.Namespace, arguments: list[str]) -> dict[str, Any]:
    """The record of one measurement."""
    device = resolve_device(args)
    start_phase("backbone")
    backbone = resolve_backbone(args)
    texts = load_texts(args, AutoTokenizer.from_pretrained(backbone.path), 4 * args.batch_size)
    experiment = make_experiment(args, backbone.path)
    start_phase("estimate")
    training = OurTraining(experiment, texts, args.seed, device)
    estimate = estimate_step_memory(training.parts, experiment)
    start_phase("steps")
    peak = step_peak(training)
    return make_record(
        "memory",
        device,
        args.seed,
        arguments,
        case={
            "backbone": backbone.name,
            "settings": ", ".join(args.set) or "–",
            "amp_dtype": estimate.amp_dtype,
            "rows": estimate.rows,
            "length": estimate.length,
        },
        ratios={"estimate": estimate.total / peak},
        medians={"estimated_gb": estimate.total / 1e9, "peak_gb": peak / 1e9},
    )


def step_peak(training: OurTraining) -> int:
    """The most bytes of tensors at any moment of the step with the largest micro-batch."""
    parts = training.parts
    lengths = parts.stepper.dataset.lengths()
    steps = training.steps(np.arange(len(lengths)))
    largest = max(steps, key=lambda step: len(step) * int(lengths[step].max()))
    with training.context:
        run_steps(parts, [largest])  # after which the moments of the optimizer are there
        if training.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            run_steps(parts, [largest])
            return torch.cuda.max_memory_allocated()
        model = parts.model
        moments = [
            t
            for state in parts.stepper.optimizer.optimizer.state.values()
            for t in tree_leaves(state)
        ]
        counter = LiveBytes([*model.parameters(), *model.buffers(), *moments])
        with counter:
            run_steps(parts, [largest])
        return counter.peak


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of tensors while it is active.

    Args:
        lasting: what is there before and counts, too.

    Attributes:
        peak: the most bytes at the same time.
    """

    def __init__(self, lasting: list[Any]) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: set[int] = set()
        for tensor in lasting:
            self._add(tensor)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run an operation, and count what it returns."""
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            self._add(tensor)
        return result

    def _add(self, tensor: Any) -> None:
        if not isinstance(tensor, torch.Tensor):
            return
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return
        size = storage.nbytes()
        self._known.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._remove, key, size)

    def _remove(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size
