"""The commands, in the order of the work, and how a user types them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

COMMANDS = {
    "prepare the data": {
        "get-data": "download a public data set and check its columns and rows",
        "make-sample": "write a small generated competition",
        "new-experiment": "look at a table and propose an experiment file",
        "config": "explain the keys of an experiment file",
        "make-folds": "divide the rows for cross-validation",
        "find-duplicates": "list near-equal texts by id, also those in the test file",
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
NAMES = [name for group in COMMANDS.values() for name in group]


def module_name(command: str) -> str:
    """``"make_folds"`` of ``"make-folds"``: its module, and its file in ``scripts/``."""
    return command.replace("-", "_")


def program_name(command: str) -> str:
    """What a usage line calls the command: ``auxfold train``, or ``train.py`` in ``scripts/``."""
    script = f"{module_name(command)}.py"
    return script if Path(sys.argv[0]).name == script else f"auxfold {command}"


def as_called(text: str) -> str:
    """The command lines in a text, in the form in which this process was called.

    A process that was started as ``scripts/train.py`` shows ``python scripts/train.py …`` instead
    of ``auxfold train …``. Any other process shows ``auxfold train`` instead of
    ``scripts/train.py``.
    """
    modules = {module_name(name): name for name in NAMES}
    if Path(sys.argv[0]).name in {f"{module}.py" for module in modules}:
        command = rf"auxfold ({'|'.join(NAMES)})\b"
        text = re.sub(rf"-m {command}", lambda match: _script_path(match[1]), text)
        return re.sub(rf"\b{command}", lambda match: f"python {_script_path(match[1])}", text)
    module = "|".join(modules)
    script = rf"(?<![\w./-])(?:python )?(?:scripts/({module})\.py|({module})\.py(?= --))"
    return re.sub(script, lambda match: f"auxfold {modules[match[1] or match[2]]}", text)


def _script_path(command: str) -> str:
    return f"scripts/{module_name(command)}.py"
