"""A process of ``python -m benchmarks start``: it says when its first step or prediction is done.

Nothing is imported here that the measured command would not import itself.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn


def main() -> None:
    """Run the probe that the first argument names, with the backbone in the second."""
    name, backbone = sys.argv[1:]
    PROBES[name](backbone)


def stop(*_: Any, **__: Any) -> NoReturn:
    """Say when, and leave without any cleaning up."""
    if (torch := sys.modules.get("torch")) is not None and torch.cuda.is_available():
        torch.cuda.synchronize()
    print(f"\ndone {time.time()}", flush=True)
    os._exit(0)


def train(backbone: str) -> None:
    """``auxfold train``, until its first step."""
    after_import("auxfold.training.fold", end_after_first_step)
    from auxfold.cli.main import main as run_command

    sys.argv = ["auxfold", "train", "--config", "experiment.toml", "--fold", "0", "--overwrite"]
    run_command()


def end_after_first_step(module: Any) -> None:
    """Change ``auxfold.training.fold`` so that a training ends after its first step."""
    take_step = module.FoldTrainer.take_step

    def take_first_step(*args: Any, **options: Any) -> NoReturn:
        take_step(*args, **options)
        stop()

    module.FoldTrainer.take_step = take_first_step


def predict(backbone: str) -> None:
    """The first prediction of a loaded model."""
    import auxfold

    auxfold.load("outputs/trained").predict(["so this is a text"])
    stop()


def trainer(backbone: str) -> None:
    """The first step of a Trainer over as many tokenized rows."""
    import pandas as pd
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    class Stop(TrainerCallback):
        def on_step_end(self, *args: Any, **options: Any) -> NoReturn:
            stop()

    frame = pd.read_csv("generated.csv")
    labels = frame.drop(columns=["id", "text"]).to_numpy(dtype="float32")
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    encoded = tokenizer(frame["text"].tolist(), truncation=True, max_length=220)
    rows = [
        {"input_ids": ids, "labels": row.tolist()}
        for ids, row in zip(encoded["input_ids"], labels, strict=True)
    ]
    model = AutoModelForSequenceClassification.from_pretrained(
        backbone, num_labels=labels.shape[1], problem_type="multi_label_classification"
    )
    arguments = TrainingArguments(
        "trainer", per_device_train_batch_size=32, report_to="none", disable_tqdm=True
    )
    collator = DataCollatorWithPadding(tokenizer)
    Trainer(model, arguments, collator, train_dataset=rows, callbacks=[Stop()]).train()


def pipeline(backbone: str) -> None:
    """The first prediction of a pipeline with the plain classifier."""
    from transformers import pipeline as make_pipeline

    make_pipeline("text-classification", model=backbone, top_k=None)("so this is a text")
    stop()


PROBES: dict[str, Callable[[str], None]] = {
    "train": train,
    "predict": predict,
    "trainer": trainer,
    "pipeline": pipeline,
}


def after_import(name: str, change: Callable[[ModuleType], None]) -> None:
    """Call a function with a module as soon as somebody has imported it."""

    class Finder(importlib.abc.MetaPathFinder):
        def find_spec(
            self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
        ) -> ModuleSpec | None:
            if fullname != name:
                return None
            sys.meta_path.remove(self)
            spec = importlib.util.find_spec(fullname)
            assert spec is not None and spec.loader is not None, "a module of this package"
            execute = spec.loader.exec_module

            def execute_and_change(module: ModuleType) -> None:
                execute(module)
                change(module)

            spec.loader.exec_module = execute_and_change  # type: ignore[method-assign]
            return spec

    sys.meta_path.insert(0, Finder())


if __name__ == "__main__":
    main()
