"""auxfold: multi-task text competitions, from one experiment file to one submission."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from auxfold.inference.predictor import Predictor

__version__ = "0.1.0"


def load(
    path: str | Path,
    folds: list[int | str] | None = None,
    devices: list[str] | None = None,
) -> Predictor:
    """The trained folds of an experiment, ready to score texts.

    >>> auxfold.load("outputs/sample").predict(["What a lovely garden"])  # doctest: +SKIP

    Args:
        path: a run folder (``outputs/<name>``) or one of its fold folders.
        folds: which folds to average; all of them when left out.
        devices: e.g. ``["cuda:0"]``; every CUDA device, or the CPU, when left out.

    Raises:
        InputError: nothing trained there, a fold is missing, or folds do not belong together.
    """
    # Not at the top: torch and transformers take seconds to import, `import auxfold` should not.
    from auxfold.inference.ensemble import Ensemble
    from auxfold.inference.predictor import Predictor

    return Predictor(Ensemble.at(path, folds), devices)
