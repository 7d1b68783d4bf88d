"""The peer: ``transformers.Trainer`` on a plain ``AutoModelForSequenceClassification``."""

from __future__ import annotations

import time
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
from transformers.utils import logging as transformers_logging

from benchmarks.timing import synchronize

DROPOUTS = (
    "hidden_dropout_prob", "attention_probs_dropout_prob", "hidden_dropout", "attention_dropout",
    "mlp_dropout", "embedding_dropout", "classifier_dropout", "pooler_dropout", "cls_dropout",
    "dropout",
)  # fmt: skip


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


class EpochClock(TrainerCallback):
    """Times an epoch, from its first step, whose batch is there already, to its last."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.started = self.seconds = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start with the first step."""
        if state.global_step == 0:
            synchronize(self.device)
            self.started = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop after the last step."""
        if state.global_step == state.max_steps:
            synchronize(self.device)
            self.seconds = time.perf_counter() - self.started


class TrainerPeer:
    """One Trainer, whose every run is one epoch over its rows.

    Args:
        settings: what it shares with ours.
        arguments: of ``TrainingArguments``.
    """

    def __init__(self, settings: PeerSettings, **arguments: Any) -> None:
        self.clock = EpochClock(settings.device)
        args = TrainingArguments(
            output_dir=str(settings.folder),
            num_train_epochs=1,
            per_device_train_batch_size=settings.batch_size,
            use_cpu=settings.device.type == "cpu",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            **arguments,
        )
        tokenizer = AutoTokenizer.from_pretrained(settings.backbone)
        multiple = 8 if settings.device.type == "cuda" and (args.bf16 or args.fp16) else None
        self.trainer = Trainer(
            model=load_classifier(settings),
            args=args,
            train_dataset=[],
            data_collator=DataCollatorWithPadding(tokenizer, pad_to_multiple_of=multiple),
            processing_class=tokenizer,
            callbacks=[self.clock],
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

    def run(self, rows: list[dict[str, Any]]) -> float:
        """Train one epoch on these rows; the seconds of its steps."""
        self.trainer.train_dataset = rows
        self.trainer.train()
        return self.clock.seconds


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
