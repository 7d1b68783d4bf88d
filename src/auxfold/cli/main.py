"""``auxfold <command>``: finds the command's module, and turns its errors into one line."""

from __future__ import annotations

import sys
from importlib import import_module

from auxfold.cli.options import run

COMMANDS = {
    "prepare the data": {
        "get-data": "download a public data set, its columns and rows checked",
        "make-sample": "write a small generated competition",
        "new-experiment": "look at a table and propose an experiment file",
        "make-folds": "divide the rows for cross-validation",
    },
    "train and predict": {
        "train": "train one fold, every fold, or one model on all rows",
        "evaluate": "score out-of-fold predictions, or a prediction file against labels",
        "inference": "predict a test file with the fold ensemble",
    },
    "improve": {
        "compare": "train variants of an experiment and compare them pair by pair",
        "ablate": "measure what each auxiliary target brings",
        "sweep": "run one trial of a W&B sweep",
        "blend": "fit the weights of several runs, or blend prediction files",
    },
    "ship": {
        "merge": "write plain models of folds that have an adapter",
        "bundle-kaggle": "write a Kaggle dataset and an offline notebook",
    },
}


def main(command: str | None = None, argv: list[str] | None = None) -> None:
    """Run one command.

    Args:
        command: its name; taken from the first argument when left out.
        argv: its arguments; those of the process when left out.
    """
    argv = sys.argv[1:] if argv is None else argv
    if command is None:
        command, argv = argv[0], argv[1:]
    module = import_module(f"auxfold.cli.{command.replace('-', '_')}")
    run(module.main)
