"""auxfold: multi-task text competitions, from one experiment file to one submission."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auxfold.inference.predictor import BlendPredictor, Predictor

__version__ = "0.2.0"


def load(
    path: str | Path,
    folds: list[int | str] | None = None,
    devices: list[str] | None = None,
    average: str | None = None,
    trust_reader: bool = False,
) -> Predictor | BlendPredictor:
    """The trained folds of an experiment or the runs of a blend, ready to score texts.

    >>> auxfold.load("outputs/sample").predict(["What a lovely garden"])  # doctest: +SKIP

    Args:
        path: a run folder (``outputs/<name>``), one of its fold folders, or a blend's folder.
        folds: which folds to average; all of them when left out. A blend has all of its runs'.
        devices: e.g. ``["cuda:0"]``; every CUDA device, or the CPU, when left out.
        average: how the folds are averaged; as the experiment says when left out. ``"soup"``: one
            model with the mean of the folds' weights is loaded instead of all of them.
        trust_reader: whether ``data.reader`` of a stored experiment may run where a table is read
            with it. Predictions of texts run no code of a run folder.

    Raises:
        InputError: nothing trained there, a fold is missing, or folds do not belong together.
    """
    # Not at the top: torch and transformers take seconds to import, `import auxfold` should not.
    from auxfold.errors import InputError
    from auxfold.inference.blend import Blend
    from auxfold.inference.ensemble import Ensemble
    from auxfold.inference.predictor import BlendPredictor, Predictor
    from auxfold.storage.run_folder import RunFolder

    if RunFolder(Path(path)).blend.is_file():
        if folds is not None or average is not None:
            raise InputError(
                f"{path} is a blend: its runs predict with all of their folds, averaged as their "
                f"experiments say; leave out folds and average"
            )
        return BlendPredictor.load(Blend.from_folder(path, trust_reader), devices)
    return Predictor.load(Ensemble.from_folder(path, folds, trust_reader), devices, average)
