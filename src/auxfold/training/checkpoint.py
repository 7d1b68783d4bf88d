"""The state from which an interrupted training continues as if nothing had happened."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from auxfold.config import Selection
from auxfold.errors import InputError
from auxfold.model.adapters.injection import load_trainable_state_dict, trainable_state_dict
from auxfold.model.averaging import average_states
from auxfold.storage.run_folder import FoldFolder
from auxfold.training.eight_bit_adamw import moment_shape, page_moments
from auxfold.training.tensor_file import read_tensor_file, write_tensor_file


@dataclass
class Progress:
    """How far a training has come.

    Attributes:
        epoch: the current epoch, from 0.
        step_in_epoch: optimizer steps done in this epoch.
        best: the best value of the selection metric so far.
        best_at: ``(epoch, step)`` of that value.
        since_best: evaluations since then.
        stored_evaluation: the evaluation, counted from 0, whose weights were stored last.
        seconds: time spent in training steps.
        rows: rows trained on.
        stopped: whether early stopping ended the training.
        history: one record per evaluation.
        losses: per task, summed since the last evaluation.
        labeled_steps: per task, the steps of that sum that had a label of the task.
        window_steps: steps that were taken since the last evaluation.
        gradient_norm: before clipping, summed over these steps.
        skipped_steps: steps that were not taken, because a loss or the gradient was not finite.
        skipped_in_a_row: the latest of them, since the last step that was taken.
        overflows_in_a_row: the latest steps that were not taken because a scaled gradient of fp16
            was not finite, since the last step that was taken; not among ``skipped_in_a_row``.
        learning_rate: after the latest step.
        max_tokens: of a micro-batch, since the GPU ran out of memory; None: it never did.
        computations: how each process computed that has trained the fold, without repetitions.
        tracking_id: the id of the W&B run, so that a resumed training continues it.
    """

    epoch: int = 0
    step_in_epoch: int = 0
    best: float | None = None
    best_at: list[int] | None = None
    since_best: int = 0
    stored_evaluation: int | None = None
    seconds: float = 0.0
    rows: int = 0
    stopped: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)
    losses: dict[str, float] = field(default_factory=dict)
    labeled_steps: dict[str, int] = field(default_factory=dict)
    window_steps: int = 0
    gradient_norm: float = 0.0
    skipped_steps: int = 0
    skipped_in_a_row: int = 0
    overflows_in_a_row: int = 0
    learning_rate: float = 0.0
    max_tokens: int | None = None
    computations: list[dict[str, Any]] = field(default_factory=list)
    tracking_id: str | None = None

    def add_step(self, losses: dict[str, float], grad_norm: float, n_rows: int) -> None:
        """Count one optimizer step that was taken.

        Args:
            losses: the loss of each task that has a label in the step.
            grad_norm: the gradient's norm before clipping.
            n_rows: rows of the step.
        """
        self.step_in_epoch += 1
        self.window_steps += 1
        self.rows += n_rows
        self.skipped_in_a_row = self.overflows_in_a_row = 0
        self.gradient_norm += grad_norm
        for name, loss in losses.items():
            self.losses[name] = self.losses.get(name, 0.0) + loss
            self.labeled_steps[name] = self.labeled_steps.get(name, 0) + 1

    def add_computation(self, computation: dict[str, Any]) -> None:
        """Note how this process computes, unless an earlier one computed in the same way."""
        if computation not in self.computations:
            self.computations.append(computation)

    def skip_step(self, n_rows: int, is_overflow: bool = False) -> None:
        """Count one step that was not taken; its losses are in no mean.

        Args:
            n_rows: rows of the step.
            is_overflow: whether only the scaled gradient of fp16 was not finite.
        """
        self.step_in_epoch += 1
        self.rows += n_rows
        self.skipped_steps += 1
        if is_overflow:
            self.overflows_in_a_row += 1
        else:
            self.skipped_in_a_row += 1

    def pop_window(self) -> dict[str, Any]:
        """The mean losses per task and the mean gradient norm since the last call."""
        steps = self.window_steps
        means = {
            "train_loss": {k: v / self.labeled_steps[k] for k, v in self.losses.items()},
            "gradient_norm": self.gradient_norm / steps if steps else None,
        }
        self.losses, self.labeled_steps = {}, {}
        self.window_steps, self.gradient_norm = 0, 0.0
        return means

    def speed(self) -> dict[str, float]:
        """The time spent in training steps, and the rows trained on per second."""
        return {
            "seconds": round(self.seconds, 2),
            "skipped_steps": self.skipped_steps,
            "rows_per_second": round(self.rows / max(self.seconds, 1e-9), 1),
        }

    def select(self, value: float | None, higher_is_better: bool) -> bool:
        """Compare an evaluation with the best so far; whether it is the best now.

        An undefined value (a correlation of constant predictions) is worse than any other.
        """
        sign = 1 if higher_is_better else -1
        is_better = value is not None and (self.best is None or sign * value > sign * self.best)
        if self.best_at is None or is_better:
            self.best, self.since_best = value, 0
            self.best_at = [self.epoch, self.step_in_epoch]
            return True
        self.since_best += 1
        return False


class StoredEvaluation(NamedTuple):
    """The weights of an evaluation, or the mean of several, and what they predict.

    Attributes:
        weights: of a :func:`trainable_state_dict`.
        predictions: task name to predictions of the held-out rows ``(rows, n_outputs)``; empty
            where there are no such rows, and for averaged weights.
    """

    weights: dict[str, torch.Tensor]
    predictions: dict[str, np.ndarray]


class WeightStore:
    """The weights of a fold's evaluations, in files of its working folder.

    For ``selection.keep`` = ``best`` and ``last`` the file also has the predictions of the
    evaluation, so that nobody has to predict the same rows with the same weights again. There is
    one file for the saved state, and another one where weights were stored since then. For
    ``average`` there is one file for each of the last ``selection.checkpoints`` evaluations, and
    for those since the saved state. So a training resumes with the weights of its own evaluations.
    """

    def __init__(self, folder: FoldFolder, selection: Selection) -> None:
        self.folder, self.n_checkpoints = folder, selection.checkpoints
        self.averages = selection.keep == "average"
        self._unsaved: int | None = None  # the evaluation that no saved state needs

    def save(
        self, weights: dict[str, torch.Tensor], predictions: dict[str, np.ndarray], evaluation: int
    ) -> None:
        """Store the weights and the predictions of an evaluation, counted from 0."""
        stored = {} if self.averages else predictions
        tensors = {name: torch.from_numpy(values) for name, values in stored.items()}
        content = {"weights": weights, "predictions": tensors}
        write_tensor_file(self.folder.evaluation_weights(evaluation), content)
        if self._unsaved is not None and not self.averages:
            self.folder.evaluation_weights(self._unsaved).unlink(missing_ok=True)
        self._unsaved = evaluation

    def prune(self, progress: Progress) -> None:
        """Remove what the training no longer needs.

        Call it only when the state of this progress has been saved: resuming from an older one
        needs older weights.
        """
        needed = self._needed(progress)
        for evaluation, path in self.folder.list_evaluation_weights():
            if evaluation not in needed:
                path.unlink()
        self._unsaved = None

    def load(self, progress: Progress, device: torch.device) -> StoredEvaluation | None:
        """The weights that the fold has, or None where no evaluation's are stored.

        Raises:
            InputError: a file of weights is missing or damaged.
        """
        paths = [self.folder.evaluation_weights(n) for n in self._needed(progress)]
        if self.averages:
            return StoredEvaluation(average_weights(paths, device), {})
        if not paths:
            return None
        content = read_tensor_file(paths[0])
        predictions = {name: values.numpy() for name, values in content["predictions"].items()}
        return StoredEvaluation(content["weights"], predictions)

    def _needed(self, progress: Progress) -> list[int]:
        """The evaluations whose weights the fold has if it ends here."""
        n_evaluations, stored = len(progress.history), progress.stored_evaluation
        if self.averages:
            return list(range(max(0, n_evaluations - self.n_checkpoints), n_evaluations))
        return [] if stored is None else [stored]

    def describe(self, n_evaluations: int) -> dict[str, int]:
        """How many evaluations' weights are averaged, for ``run.json``; empty where none are."""
        return {"averaged": min(self.n_checkpoints, n_evaluations)} if self.averages else {}


def average_weights(paths: list[Path], device: torch.device) -> dict[str, torch.Tensor]:
    """The mean of stored weights, tensor by tensor (SWA, Izmailov et al. 2018)."""
    return average_states(read_tensor_file(path, device)["weights"] for path in paths)


def save_state(path: Path, progress: Progress, parts: dict[str, Any], signature: str) -> None:
    """Write progress, the state of every part but frozen parameters, and the random states."""
    content = {
        "signature": signature,
        "progress": asdict(progress),
        "parts": {name: _state_dict(part) for name, part in parts.items()},
        "random": _random_states(),
    }
    write_tensor_file(path, content)


def load_state(path: Path, parts: dict[str, Any], signature: str) -> Progress:
    """Restore what :func:`save_state` wrote.

    Raises:
        InputError: the state is damaged, of another form, or belongs to other data or another kind
            of device.
    """
    content = read_tensor_file(path)
    try:
        if content["signature"] != signature:
            raise InputError(
                f"{path.parent} was started with other data, another number format, or on another "
                f"kind of device; give --overwrite to start again"
            )
        for name, part in parts.items():
            is_model = isinstance(part, nn.Module)
            load = partial(load_trainable_state_dict, part) if is_model else part.load_state_dict
            load(content["parts"][name])
            if name == "optimizer":
                _check_moments(part)
                page_moments(part.optimizer)
        _set_random_states(content["random"])
        return Progress(**content["progress"])
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise InputError(
            f"{path} is not a state of this training ({type(error).__name__}); give --overwrite to "
            f"start again"
        ) from error


def _check_moments(optimizer: torch.optim.Optimizer) -> None:
    """Refuse moments of another shape than their parameter's: fused kernels do not look.

    Raises:
        ValueError: a shape differs.
    """
    for parameter, moments in optimizer.state.items():
        for name, values in moments.items():
            expected = () if name == "step" else moment_shape(name, parameter)
            if torch.is_tensor(values) and values.shape != expected:
                raise ValueError(f"{name} has the shape {tuple(values.shape)}")


def _state_dict(part: Any) -> dict[str, Any]:
    return trainable_state_dict(part) if isinstance(part, nn.Module) else part.state_dict()


def _random_states() -> dict[str, Any]:
    generator, keys, *rest = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": (generator, np.asarray(keys).tolist(), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def _set_random_states(states: dict[str, Any]) -> None:
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    if states["cuda"] is not None:
        torch.cuda.set_rng_state(states["cuda"])
