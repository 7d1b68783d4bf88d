"""Run the steps of an epoch: prepare batches ahead of the device, and replay captured steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import numpy as np
import torch

from auxfold.config import Train
from auxfold.data.packing import Capacity
from auxfold.data.prefetch import map_tensors, prefetch
from auxfold.model.dropout import BitDropout
from auxfold.model.fast.encoder import FastEncoder
from auxfold.model.fast.regions import compile_regions
from auxfold.model.out_of_memory import attempt
from auxfold.training.loop import StepTrainer, get_random_states
from auxfold.training.objective import StepLoss
from auxfold.training.optimizer import is_fused
from auxfold.training.step_graphs import (
    Capture,
    CaptureFailed,
    CudaCapture,
    StepGraphs,
    StepTensors,
    fill_up,
)
from auxfold.training.step_log import StepResult
from auxfold.training.weighting.gram import Gram

DEPTH = 8  # steps that are prepared ahead
LONG_TRAINING = 3_000  # optimizer steps that pay for the compilation of a few operations


class PreparedStep(NamedTuple):
    """The rows of a step; as tensors of a fixed size, where they are one micro-batch.

    Attributes:
        max_tokens: of a micro-batch, when the step was prepared.
    """

    indices: np.ndarray
    max_tokens: int
    capacity: Capacity | None = None
    tensors: StepTensors | None = None


class StepRunner:
    """Makes the steps of :class:`StepTrainer` as fast as the device allows.

    A step whose rows are one micro-batch on one GPU is captured in a CUDA graph. Every other one
    (several processes or micro-batches, fp16 with its gradient scaler, moments of 8 bits, task
    weights that adapt) runs operation by operation.

    Args:
        stepper: makes the steps.
        encoder: the forward pass over packed tokens; None: nothing is captured.
        capture: :class:`CudaCapture`, a stand-in for tests, or None to capture nothing.

    Where a GPU runs out of memory, the step is repeated operation by operation in smaller
    micro-batches.

    Attributes:
        notices: of captures, a line each; see :meth:`pop_notices`.
    """

    def __init__(
        self, stepper: StepTrainer, encoder: FastEncoder | None, capture: Capture | None
    ) -> None:
        self.stepper, self.encoder = stepper, encoder
        accelerator = stepper.accelerator
        can_capture = (
            accelerator.num_processes == 1
            and accelerator.scaler is None
            and is_fused(stepper.optimizer)
            and stepper.weighting.is_fixed
        )
        self.graphs: StepGraphs | None = None
        if encoder is not None and capture is not None and can_capture:
            self.graphs = StepGraphs(accelerator.device, capture)
        self.notices: list[str] = []
        self._gram = Gram.zeros(len(stepper.objective.cells), accelerator.device)
        self._ahead: Iterator[PreparedStep] | None = None

    def start_epoch(
        self,
        steps: Sequence[np.ndarray],
        swapped: np.ndarray | None = None,
        windows: np.ndarray | None = None,
    ) -> None:
        """Start to prepare steps ahead, on another thread.

        Args:
            steps: the rows of every step that follows, in order.
            swapped: as in :class:`StepTrainer`.
            windows: as in :class:`StepTrainer`.
        """
        self.stepper.swapped, self.stepper.windows = swapped, windows
        self.close()
        if self.graphs is not None:
            self._ahead = prefetch(self._prepare, steps, DEPTH)

    def close(self) -> None:
        """Stop to prepare steps."""
        if self._ahead is not None:
            self._ahead.close()  # type: ignore[attr-defined]
        self._ahead = None

    def train_step(self, indices: np.ndarray) -> StepResult:
        """As :meth:`StepTrainer.train_step`."""
        prepared = None if self.graphs is None else self._take(indices)
        if prepared is None or prepared.tensors is None:
            return self.stepper.train_step(indices)
        stepper, weighting = self.stepper, self.stepper.weighting
        capacity, tensors = prepared.capacity, prepared.tensors
        graphs = self.graphs
        assert self.encoder is not None and graphs is not None and capacity is not None
        self.encoder.prepare(capacity.max_length)
        present = stepper.objective.present(indices)
        weighting.start_step(list(present.values()))
        is_measured = weighting.is_measured

        def step(tensors: StepTensors) -> None:
            self._run_static(tensors, present)

        def run() -> bool:
            try:
                graphs.run(capacity, tensors, (*present.values(), is_measured), step)
            except CaptureFailed as error:
                self._stop_capturing(error)
                step(tensors.to(stepper.accelerator.device))
            return True

        random_states = get_random_states(stepper.accelerator.device)
        if not attempt(run):
            stepper.halve_micro_batches(indices, random_states)
            return stepper.run_started_step(indices)
        self.encoder.mark_stale()
        weighting.end_step(self._gram.clone() if is_measured else None)
        return stepper.log.add(indices, present)

    def _run_static(self, tensors: StepTensors, present: dict[str, bool]) -> None:
        """One step over tensors of a fixed size, which touches nothing but the device.

        The same as :meth:`StepTrainer.train_step` with a single micro-batch.
        """
        stepper, weighting = self.stepper, self.stepper.weighting
        assert self.encoder is not None
        self.encoder.refresh()
        step_loss = StepLoss(stepper.objective, tensors.rows, present, tensors.is_real)
        with weighting.capture_gradients(stepper.unwrapped_model):
            logits = stepper.model(packed=tensors.packed)
            losses = stepper.losses(step_loss, logits, tensors.rows)
            stepper.accelerator.backward(weighting.total(losses))
        stepper.update({name: loss.detach() for name, loss in losses.items()}, step_loss)
        if weighting.is_measured:
            self._gram.copy_(weighting.gram)

    def _prepare(self, indices: np.ndarray) -> PreparedStep:
        stepper, max_tokens = self.stepper, self.stepper.splitter.max_tokens
        if stepper.splitter.cuts(indices):
            return PreparedStep(indices, max_tokens)
        assert self.encoder is not None
        capacity, tensors = fill_up(
            stepper.dataset,
            indices,
            stepper.swapped_at(indices),
            stepper.windows_at(indices),
            stepper.settings.batch_size,
            self.encoder.max_length_step,
        )
        if stepper.accelerator.device.type == "cuda":  # a copy from pinned memory does not block
            tensors = map_tensors(torch.Tensor.pin_memory, tensors)
        return PreparedStep(indices, max_tokens, capacity, tensors)

    def _take(self, indices: np.ndarray) -> PreparedStep:
        """The step over these rows: the next that was prepared ahead, if it is this one."""
        ahead = None if self._ahead is None else next(self._ahead, None)
        if ahead is None or ahead.indices is not indices:
            self.close()
            return self._prepare(indices)
        if ahead.max_tokens != self.stepper.splitter.max_tokens:  # the GPU ran out of memory since
            return self._prepare(indices)
        return ahead

    def pop_notices(self) -> list[str]:
        """What a person should know since the last call, a line each."""
        splitter = self.stepper.splitter
        notices = [*self.notices, *([] if splitter.notice is None else [splitter.notice])]
        self.notices, splitter.notice = [], None
        return notices

    def _stop_capturing(self, error: CaptureFailed) -> None:
        self.graphs = None
        self.close()
        self.stepper.optimizer.zero_grad()
        self.notices.append(
            f"train.cuda_graphs: a step cannot be captured ({error}); steps run operation by "
            f"operation, which is slower"
        )


def make_step_runner(stepper: StepTrainer, settings: Train, n_steps: int) -> StepRunner:
    """The runner for the present device, ``train.cuda_graphs`` and ``train.compile``.

    Args:
        stepper: makes the steps.
        settings: the ``[train]`` section.
        n_steps: optimizer steps of the whole training.
    """
    encoder = stepper.unwrapped_model.fast_encoder() if stepper.splitter.padding_free else None
    is_gpu = stepper.accelerator.device.type == "cuda"
    # In half precision Triton kernels run, next to which compiling does not pay.
    pays = is_gpu and stepper.accelerator.mixed_precision == "no" and n_steps >= LONG_TRAINING
    compiles = settings.compile == "on" or (settings.compile == "auto" and pays)
    compile_regions(encoder is not None and compiles)
    uses_graphs = settings.cuda_graphs == "auto" and is_gpu
    return StepRunner(stepper, encoder, CudaCapture() if uses_graphs else None)


def training_context(device: torch.device) -> AbstractContextManager[object]:
    """The context in which steps are taken.

    On a GPU it is a stream of its own, since CUDA graphs cannot be captured on the default one; on
    a CPU dropout is fast in it.
    """
    if device.type == "cpu":
        return BitDropout()
    if device.type != "cuda":
        return nullcontext()
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    return torch.cuda.stream(stream)
