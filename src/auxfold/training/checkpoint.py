"""The state from which an interrupted training continues as if nothing had happened."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from auxfold.config import Selection
from auxfold.errors import InputError
from auxfold.model.adapters.injection import load_trained_state, trained_state
from auxfold.storage.atomic import atomic_write
from auxfold.storage.run_folder import FoldFolder


@dataclass
class Progress:
    """Where a training stands.

    Attributes:
        epoch: the current epoch, from 0.
        step: optimizer steps done in this epoch.
        best: the best value of the selection metric so far.
        best_at: ``(epoch, step)`` of that value.
        since_best: evaluations since then.
        seconds: time spent in training steps.
        rows: rows trained on.
        stopped: whether early stopping ended the training.
        history: one record per evaluation.
        losses: per task, summed since the last evaluation.
        labelled: per task the steps in it that had a label of the task.
        steps: over how many steps.
        gradient_norm: before clipping, summed likewise over the steps in which it is finite.
        norms: over how many steps that is (fp16 overflows now and then and skips a step).
        tracking_id: of the W&B run, so that a resumed training continues it.
    """

    epoch: int = 0
    step: int = 0
    best: float | None = None
    best_at: list[int] | None = None
    since_best: int = 0
    seconds: float = 0.0
    rows: int = 0
    stopped: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)
    losses: dict[str, float] = field(default_factory=dict)
    labelled: dict[str, int] = field(default_factory=dict)
    steps: int = 0
    gradient_norm: float = 0.0
    norms: int = 0
    tracking_id: str | None = None


class WeightStore:
    """What a fold keeps of its evaluations' weights, in files of its working folder.

    Of ``selection.keep`` = ``best`` and ``last`` one file; of ``average`` one for each of the last
    ``selection.checkpoints`` evaluations, and of those since the last saved state.
    """

    def __init__(self, folder: FoldFolder, selection: Selection) -> None:
        self.folder, self.n = folder, selection.checkpoints
        self.averages = selection.keep == "average"

    def keep(self, weights: dict[str, torch.Tensor], evaluation: int) -> None:
        """Store the weights of an evaluation, counted from 0."""
        path = self.folder.kept(evaluation) if self.averages else self.folder.best
        atomic_write(path, lambda p: torch.save(weights, p))

    def forget(self, evaluations: int) -> None:
        """Remove what no mean will need after so many evaluations.

        Only when a state was saved: who resumes from an older one needs older weights.
        """
        for evaluation, path in self.folder.all_kept():
            if evaluation < evaluations - self.n:
                path.unlink()

    def weights(self, evaluations: int, device: torch.device) -> dict[str, torch.Tensor] | None:
        """The weights of the fold after so many evaluations; None: nothing was kept."""
        if self.averages:
            last = range(max(0, evaluations - self.n), evaluations)
            return mean_of_weights([self.folder.kept(n) for n in last], device)
        best = self.folder.best
        return torch.load(best, map_location=device) if best.is_file() else None

    def record(self, evaluations: int) -> dict[str, int]:
        """For ``run.json``: of how many evaluations' weights a mean was taken."""
        return {"averaged": min(self.n, evaluations)} if self.averages else {}


def mean_of_weights(paths: list[Path], device: torch.device) -> dict[str, torch.Tensor]:
    """The mean of stored weights, tensor by tensor (SWA, Izmailov et al. 2018).

    Only one file and the mean are in memory. What is no floating point number is the last file's.
    """
    mean: dict[str, torch.Tensor] = {}
    for count, path in enumerate(paths, start=1):
        for name, values in torch.load(path, map_location=device).items():
            if name in mean and values.is_floating_point():
                mean[name] += (values - mean[name]) / count
            else:
                mean[name] = values
    return mean


def save_state(path: Path, progress: Progress, parts: dict[str, Any], signature: str) -> None:
    """Write progress, the state of every part but frozen parameters, and the random states."""
    content = {
        "signature": signature,
        "progress": asdict(progress),
        "parts": {name: _state(part) for name, part in parts.items()},
        "random": _random_states(),
    }
    atomic_write(path, lambda p: torch.save(content, p))


def load_state(path: Path, parts: dict[str, Any], signature: str) -> Progress:
    """Restore what :func:`save_state` wrote.

    Raises:
        InputError: the state belongs to another experiment or other data.
    """
    # Own file, written by this program on this machine; it holds random states as objects.
    content = torch.load(path, map_location="cpu", weights_only=False)
    if content["signature"] != signature:
        raise InputError(
            f"{path.parent} was started with another experiment, other data, or on another kind of "
            f"device; give --overwrite to start anew"
        )
    for name, part in parts.items():
        load = partial(load_trained_state, part) if _is_model(part) else part.load_state_dict
        load(content["parts"][name])
    _set_random_states(content["random"])
    return Progress(**content["progress"])


def _is_model(part: Any) -> bool:
    return isinstance(part, nn.Module)


def _state(part: Any) -> dict[str, Any]:
    return trained_state(part) if _is_model(part) else part.state_dict()


def _random_states() -> dict[str, Any]:
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def _set_random_states(states: dict[str, Any]) -> None:
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    if states["cuda"] is not None:
        torch.cuda.set_rng_state(states["cuda"])
