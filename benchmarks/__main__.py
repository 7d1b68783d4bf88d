"""Compare auxfold with other ways to do the same: ``python -m benchmarks KIND``."""

from __future__ import annotations

import sys
from importlib import import_module

from auxfold.cli.exit_codes import run
from auxfold.cli.threads import let_waiting_threads_sleep
from auxfold.errors import InputError, nearest

KINDS = {
    "train": "rows per second of training, of auxfold and of transformers.Trainer",
    "predict": "rows per second from texts, of auxfold and of the transformers pipeline",
    "idle": "share of a training epoch in which the GPU has nothing to do",
    "evaluate": "seconds of what auxfold evaluate computes",
    "metric": "seconds of metrics, of auxfold and of scikit-learn",
    "folds": "seconds to make folds, of auxfold and of iterative-stratification",
    "load": "seconds to read a training table, and to open it again",
    "start": "seconds from a command to the first training step and the first prediction",
    "cost": "what training costs against tokens and heads, and the rest against rows, as plots",
    "memory": "the memory of a training step, estimated and measured",
    "reliability": "kills, full disks, damaged files, strange tables and hours of work",
    "gpu": "everything that is measured on a GPU, in order of worth, with one command",
    "table": "write measurements from a file of JSON lines into the page of speeds",
    "near_duplicates": "out-of-fold scores of TF-IDF with near-equal texts apart and together",
    "tfidf": "out-of-fold scores of TF-IDF with logistic or ridge regression on the same folds",
    "bias": "seconds of the bias metric and of the competition kernel's way, on generated rows",
}


def main(argv: list[str] | None = None) -> None:
    """Run the benchmark that the first argument names.

    Raises:
        InputError: there is no such kind.
    """
    kind, *arguments = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if kind in ("--help", "-h"):
        print(describe_kinds())
    elif kind in KINDS:
        import_module(f"benchmarks.{kind}").main(arguments)
    else:
        raise InputError(f"no benchmark {kind!r}{nearest(kind, KINDS)}; one of {', '.join(KINDS)}")


def describe_kinds() -> str:
    """The help: one line per kind."""
    lines = ["usage: python -m benchmarks KIND [options]", "", __doc__ or "", "", "kinds:"]
    lines += [f"  {kind:8} {summary}" for kind, summary in KINDS.items()]
    lines += ["", "python -m benchmarks KIND --help shows the options of a kind"]
    return "\n".join(lines)


if __name__ == "__main__":
    let_waiting_threads_sleep()
    run(main)
