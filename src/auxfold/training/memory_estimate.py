"""The memory that the largest micro-batch of a training needs on a GPU, before any step is run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from auxfold.config import Train
from auxfold.config.experiment import Experiment
from auxfold.model.amp import autocast
from auxfold.model.multitask import MultiTaskModel
from auxfold.training.build import FoldParts
from auxfold.training.eight_bit_adamw import MIN_8BIT_SIZE

# The lengths of the rows from which the activations of longer ones follow.
_SHORT, _LONG = 16, 32
# What the backward pass of a layer holds next to what is saved for it, as a part of that. Counted
# in small BERT, Llama and ModernBERT, with and without LoRA: 0.13 to 0.64.
_BACKWARD_SHARE = 0.35


@dataclass(frozen=True)
class StepMemory:
    """The bytes of tensors in a training step.

    What CUDA takes itself, about half a gigabyte, and fragments are not counted.

    Attributes:
        rows: of the largest micro-batch.
        length: tokens of each of them, padding included.
        amp_dtype: the number format of its forward pass.
        weights: of the model, in their formats.
        gradients: of what is trained.
        moments: of the optimizer.
        average: of the moving average of what is trained.
        activations: what the forward pass saves for the backward pass, and what that adds to it.
        has_micro_batches: whether gradients add up over several micro-batches.
    """

    rows: int
    length: int
    amp_dtype: str
    weights: int
    gradients: int
    moments: int
    average: int
    activations: int
    has_micro_batches: bool

    @property
    def total(self) -> int:
        """The peak.

        In a single pass activations are freed while gradients appear. With several micro-batches
        the gradients of those before are there, too.
        """
        lasting = self.weights + self.moments + self.average
        if self.has_micro_batches:
            return lasting + self.gradients + self.activations
        return lasting + max(self.gradients, self.activations)

    def describe(self) -> str:
        """``1.9 GB: weights 1.2, …``, for a person."""
        parts = {
            "weights": self.weights,
            "gradients": self.gradients,
            "moments": self.moments,
            "average": self.average,
            "activations": self.activations,
        }
        shown = ", ".join(f"{name} {size / 1e9:.2f}" for name, size in parts.items() if size)
        return (
            f"{self.total / 1e9:.2f} GB ({shown}) for {self.rows} rows of {self.length} tokens in "
            f"{self.amp_dtype}"
        )


def estimate_step_memory(parts: FoldParts, experiment: Experiment) -> StepMemory:
    """The memory of the largest micro-batch of the first epoch, on padded batches.

    The activations are those of four forward passes over at most two short rows on the present
    device: what they save for the backward pass grows linearly with rows, and with length as a
    polynomial of degree two.

    Args:
        parts: of the fold.
        experiment: what is trained.
    """
    model, settings = parts.model, experiment.train
    rows, length, has_micro_batches = _largest_micro_batch(parts, settings)
    amp_dtype = _gpu_format(parts, settings)
    trained = [p for p in model.parameters() if p.requires_grad]
    weights = sum(map(_n_bytes, [*model.parameters(), *model.buffers()])) + _quantization_bytes(
        model
    )
    return StepMemory(
        rows=rows,
        length=length,
        amp_dtype=amp_dtype,
        weights=weights,
        gradients=sum(map(_n_bytes, trained)),
        moments=_moment_bytes(trained, settings),
        average=0 if settings.ema is None else sum(map(_n_bytes, trained)),
        activations=_activation_bytes(model, rows, length, amp_dtype, settings),
        has_micro_batches=has_micro_batches,
    )


def _largest_micro_batch(parts: FoldParts, settings: Train) -> tuple[int, int, bool]:
    """Rows, tokens per row, and whether its step has other micro-batches."""
    splitter, lengths = parts.stepper.splitter, parts.stepper.dataset.lengths()
    is_gpu = parts.stepper.accelerator.device.type == "cuda"
    # Where the budget is chosen, those of a CPU are small, and a GPU has room for most steps.
    is_whole = settings.max_tokens_per_batch == "auto" and not is_gpu
    sizes = []
    for indices in parts.epochs.steps(0):
        micro_batches = [indices] if is_whole else splitter.split(indices)
        for batch in micro_batches:
            longest = int(lengths[batch].max())
            sizes.append((len(batch) * longest, len(batch), longest, len(micro_batches) > 1))
    return max(sizes)[1:]


def _gpu_format(parts: FoldParts, settings: Train) -> str:
    """The number format on a GPU: where it is chosen there, bf16, which takes as much as fp16."""
    if parts.stepper.accelerator.device.type == "cuda" or settings.precision != "auto":
        return parts.amp_dtype
    return "bf16"


def _n_bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _quantization_bytes(model: nn.Module) -> int:
    """The bytes of the scales of weights in 4 bits; those of 8 bits are buffers."""
    total = 0
    for parameter in model.parameters():
        state = getattr(parameter, "quant_state", None)
        while state is not None:  # the scales of nf4 may be quantized again
            total += _n_bytes(state.absmax)
            state = state.state2
    return total


def _moment_bytes(trained: list[nn.Parameter], settings: Train) -> int:
    """The bytes of both moments on the GPU; those of paged optimizers can leave it."""
    if settings.optimizer == "paged_adamw_8bit":
        return 0
    if settings.optimizer == "adamw":
        return sum(8 * p.numel() for p in trained)
    return sum((2 if p.numel() >= MIN_8BIT_SIZE else 8) * p.numel() for p in trained)


def _activation_bytes(
    model: MultiTaskModel, rows: int, length: int, amp_dtype: str, settings: Train
) -> int:
    """What is saved for the backward pass of a micro-batch, and what that holds next to it."""
    config = model.backbone.config
    with _as_on_a_gpu(model), _StateSize(model) as state:
        saved = {
            (n, tokens): _saved_bytes(model, n, tokens, amp_dtype)
            for n in (1, 2)
            for tokens in (_SHORT, _LONG)
        }
    fixed = 2 * saved[1, _SHORT] - saved[2, _SHORT]  # copies of weights in the format
    short, long = (saved[2, tokens] - saved[1, tokens] for tokens in (_SHORT, _LONG))
    quadratic = (long / _LONG - short / _SHORT) / (_LONG - _SHORT)
    linear = short / _SHORT - quadratic * _SHORT
    moving = rows * (linear * length + quadratic * length**2)
    layer = moving / config.num_hidden_layers
    if not settings.gradient_checkpointing:
        return round(fixed + moving + _BACKWARD_SHARE * layer)
    # Of each layer only its input is saved. One layer at a time is computed again, with its copies
    # of weights. In the forward pass autocast keeps the copies of all that are trained.
    inputs = config.num_hidden_layers * rows * length * config.hidden_size * state.n_bytes
    copies = min(fixed, 2 * sum(p.numel() for p in model.parameters() if p.requires_grad))
    forward = copies + _BACKWARD_SHARE * layer
    backward = fixed / config.num_hidden_layers + (1 + _BACKWARD_SHARE) * layer
    return round(inputs + max(forward, backward))


class _StateSize:
    """Finds out the bytes of a number in the hidden states, in passes within its context."""

    def __init__(self, model: MultiTaskModel) -> None:
        self.model, self.n_bytes = model, 4

    def __enter__(self) -> _StateSize:
        self.handle = self.model.backbone.register_forward_hook(self._read)
        return self

    def __exit__(self, *_: object) -> None:
        self.handle.remove()

    def _read(self, _: nn.Module, __: object, output: Any) -> None:
        self.n_bytes = output.last_hidden_state.element_size()


@contextmanager
def _as_on_a_gpu(model: MultiTaskModel) -> Iterator[None]:
    """The attention that runs on a GPU, and no checkpointing, which hides what a layer saves."""
    backbone = model.backbone
    attention = backbone.config._attn_implementation
    checkpointing = [m for m in backbone.modules() if getattr(m, "gradient_checkpointing", False)]
    for module in checkpointing:
        module.gradient_checkpointing = False  # type: ignore[assignment]
    if attention == "eager" and backbone._supports_sdpa:
        backbone.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        backbone.set_attn_implementation(attention)
        for module in checkpointing:
            module.gradient_checkpointing = True  # type: ignore[assignment]


def _saved_bytes(model: MultiTaskModel, rows: int, length: int, amp_dtype: str) -> int:
    """The bytes that a forward pass in training saves for the backward pass, weights apart."""
    device = model.device
    ids = torch.arange(rows * length, device=device).view(rows, length)
    ids = 10 + ids % (model.backbone.config.vocab_size - 10)
    weights = {t.untyped_storage().data_ptr() for t in [*model.parameters(), *model.buffers()]}
    sizes: dict[int, int] = {}

    def record(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    was_training = model.training
    with (
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor),
        autocast(amp_dtype, device),
    ):
        logits = model.train()(input_ids=ids, attention_mask=torch.ones_like(ids))
    model.train(was_training)
    del logits  # until now it has held what is saved, so that no address came twice
    return sum(sizes.values())
