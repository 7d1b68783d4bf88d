"""The peer: ``transformers.Trainer`` on a plain ``AutoModelForSequenceClassification``."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.trainer_pt_utils import LengthGroupedSampler, get_length_grouped_indices
from transformers.utils import logging as transformers_logging

from benchmarks.timing import PeakAbove, synchronize

DROPOUTS = (
    "hidden_dropout_prob", "attention_probs_dropout_prob", "hidden_dropout", "attention_dropout",
    "mlp_dropout", "embedding_dropout", "classifier_dropout", "pooler_dropout", "cls_dropout",
    "dropout",
)  # fmt: skip
LONG_GROUP = 50  # batches that the sampler of transformers sorts together where there are enough


@dataclass(frozen=True)
class PeerSettings:
    """What both peers share with the training they are compared with.

    Attributes:
        backbone: a folder or a hub name.
        batch_size: rows of an optimizer step.
        dropout: whether the backbone's own dropout is on.
        n_labels: outputs.
        amp_dtype: ``bf16``, ``fp16`` or ``fp32``, for the peer at its best.
        device: where it trains.
        folder: where the Trainer may write.
    """

    backbone: str
    batch_size: int
    dropout: bool
    n_labels: int
    amp_dtype: str
    device: torch.device
    folder: Path


class TurnClock(TrainerCallback):
    """Times every block of steps, and stops between the blocks.

    A block starts with its first step, whose batch is there already, and ends when the device has
    finished its last step. What happens between two blocks does not count.

    Args:
        n_steps: optimizer steps of a block.
        device: where the Trainer trains.
        between: called after every block.

    Attributes:
        seconds: of every block.
    """

    def __init__(self, n_steps: int, device: torch.device, between: Callable[[], None]) -> None:
        self.n_steps, self.device, self.between = n_steps, device, between
        self.started = 0.0
        self.seconds: list[float] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start with the first step of a block."""
        if state.global_step % self.n_steps == 0:
            synchronize(self.device)
            self.started = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop after the last step of a block, and give the others their turn."""
        if state.global_step % self.n_steps == 0:
            synchronize(self.device)
            self.seconds.append(time.perf_counter() - self.started)
            self.between()


class BlockSampler(LengthGroupedSampler):
    """Groups rows by length as a long training does: up to 50 batches are sorted together.

    The sampler of transformers divides few rows into four groups, which pads them more.
    """

    def __iter__(self) -> Iterator[int]:
        n_batches = min(math.ceil(len(self.lengths) / self.batch_size), LONG_GROUP)
        indices = get_length_grouped_indices(self.lengths, self.batch_size, n_batches)
        return iter(indices)


class PeerTrainer(Trainer):
    """The Trainer, whose blocks are grouped as in a long training where it groups rows."""

    def _get_train_sampler(self, *args: Any, **options: Any) -> Any:
        sampler = super()._get_train_sampler(*args, **options)
        if isinstance(sampler, LengthGroupedSampler):
            return BlockSampler(sampler.batch_size, lengths=sampler.lengths)
        return sampler


class TrainerPeer:
    """One Trainer, which trains in blocks, in turns with others.

    Args:
        settings: what it shares with ours.
        arguments: of ``TrainingArguments``.

    Attributes:
        memory: the peak of what it takes on a CUDA device.
    """

    def __init__(self, settings: PeerSettings, **arguments: Any) -> None:
        self.device, self.memory = settings.device, PeakAbove(settings.device)
        args = TrainingArguments(
            output_dir=str(settings.folder),
            per_device_train_batch_size=settings.batch_size,
            use_cpu=settings.device.type == "cpu",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            **arguments,
        )
        tokenizer = AutoTokenizer.from_pretrained(settings.backbone)
        multiple = 8 if settings.device.type == "cuda" and (args.bf16 or args.fp16) else None
        self.trainer = PeerTrainer(
            model=load_classifier(settings),
            args=args,
            train_dataset=[],
            data_collator=DataCollatorWithPadding(tokenizer, pad_to_multiple_of=multiple),
            processing_class=tokenizer,
        )
        self.trainer.remove_callback(PrinterCallback)

    @classmethod
    def with_defaults(cls, settings: PeerSettings) -> TrainerPeer:
        """Default arguments: fp32, AdamW, rows in random order, padded to the longest one."""
        return cls(settings)

    @classmethod
    def at_its_best(cls, settings: PeerSettings) -> TrainerPeer:
        """Mixed precision, rows of similar length together, fused AdamW, workers, no logging."""
        n_workers = 4 if settings.device.type == "cuda" else 0
        return cls(
            settings,
            bf16=settings.amp_dtype == "bf16",
            fp16=settings.amp_dtype == "fp16",
            train_sampling_strategy="group_by_length",
            optim="adamw_torch_fused",
            dataloader_num_workers=n_workers,
            dataloader_persistent_workers=n_workers > 0,
            dataloader_pin_memory=True,
            logging_strategy="no",
            logging_nan_inf_filter=False,  # it reads the loss from the device in every step
        )

    def take_turns(
        self,
        rows: list[dict[str, Any]],
        others: dict[str, Callable[[], float]],
        repetitions: int,
    ) -> tuple[list[float], dict[str, list[float]]]:
        """Train blocks over these rows, in turns with others, in one ``Trainer.train()``.

        A block is one epoch, so that all blocks have the same tokens. Neither its start (loader,
        workers) nor the turns of the others count. A first turn of each is warm-up.

        Args:
            rows: of every block.
            others: name to a function that returns the seconds that count.
            repetitions: blocks after the one to warm up, and turns of the others.

        Returns:
            The seconds of every block, and those of every turn of the others.
        """
        seconds: dict[str, list[float]] = {name: [] for name in others}

        def between() -> None:
            self.memory.stop()
            for name, run in others.items():
                seconds[name].append(run())
            self.memory.start()

        args = self.trainer.args
        n_steps = math.ceil(len(rows) / args.train_batch_size)
        clock = TurnClock(n_steps, self.device, between)
        args.num_train_epochs = repetitions + 1
        self.trainer.train_dataset = rows
        self.trainer.add_callback(clock)
        self.memory.start()
        self.trainer.train()
        self.trainer.remove_callback(clock)
        return clock.seconds[1:], {name: values[1:] for name, values in seconds.items()}


def load_classifier(settings: PeerSettings) -> Any:
    """The classifier of transformers in fp32, with one output per label and BCE as its loss."""
    options: dict[str, Any] = {
        "num_labels": settings.n_labels,
        "problem_type": "multi_label_classification",
        "dtype": torch.float32,
    }
    transformers_logging.set_verbosity_error()  # that the classifier's weights are new is meant
    model = AutoModelForSequenceClassification.from_pretrained(settings.backbone, **options)
    if settings.dropout:
        return model
    zeros = {name: 0.0 for name in DROPOUTS if getattr(model.config, name, None) is not None}
    return AutoModelForSequenceClassification.from_pretrained(settings.backbone, **options, **zeros)


def tokenize_rows(
    texts: list[str], labels: np.ndarray, backbone: str, max_length: int
) -> list[dict[str, Any]]:
    """The rows as a Trainer takes them: token ids and fp32 labels."""
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    encoded = tokenizer(texts, truncation=True, max_length=max_length)
    names = list(encoded)
    return [
        {**{name: encoded[name][row] for name in names}, "labels": labels[row].tolist()}
        for row in range(len(texts))
    ]
