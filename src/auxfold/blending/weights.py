"""The weights that a method gives to several runs, and predictions blended by weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from auxfold.blending.candidates import Candidates
from auxfold.blending.options import EQUAL_METHODS, BlendOptions
from auxfold.blending.search import hill_climb, nelder_mead
from auxfold.postprocessing.averaging import from_scale, output_weights, to_scale


def scale_predictions(candidates: Candidates, average: str, power: float) -> dict[str, np.ndarray]:
    """The candidates' predictions on the scale of an average, ``(members, rows, n_outputs)``."""
    return {
        task.name: np.stack(
            [to_scale(task, values, average, power) for values in candidates.predictions[task.name]]
        )
        for task in candidates.tasks
    }


def fit_weights(
    candidates: Candidates,
    scaled: dict[str, np.ndarray],
    indices: np.ndarray,
    method: str,
    options: BlendOptions,
) -> dict[str, np.ndarray]:
    """Label column to the weights of the runs, ``(members,)``.

    Args:
        candidates: the runs.
        scaled: their predictions, see :func:`scale_predictions`.
        indices: the rows that the weights are fitted on.
        method: one of ``methods.METHODS``.
        options: how the weights are fitted.
    """
    columns = [column for task in candidates.tasks for column in task.settings.targets]
    if method in EQUAL_METHODS:
        n = candidates.n_members
        return dict.fromkeys(columns, np.full(n, 1 / n))
    # Scaled values replace the predictions, so that they are split by column in the same way.
    scaled_candidates = replace(candidates, predictions=scaled)
    if options.by_column:
        return {
            column: _search_weights(part, indices, method, options)
            for column, part in scaled_candidates.split_by_column().items()
        }
    return dict.fromkeys(columns, _search_weights(scaled_candidates, indices, method, options))


def blend_predictions(
    candidates: Candidates,
    scaled: dict[str, np.ndarray],
    indices: np.ndarray,
    weights: dict[str, np.ndarray],
    average: str,
    power: float,
) -> dict[str, np.ndarray]:
    """The weighted mean of the runs' predictions.

    Args:
        candidates: the runs.
        scaled: their predictions, see :func:`scale_predictions`.
        indices: the rows to blend.
        weights: label column to ``(members,)``.
        average: the scale of ``scaled``.
        power: the exponent of the power mean.

    Returns:
        Task name to ``(len(indices), n_outputs)``.
    """
    return {
        task.name: from_scale(
            task,
            np.einsum("mro,mo->ro", scaled[task.name][:, indices], output_weights(task, weights)),
            average,
            power,
        )
        for task in candidates.tasks
    }


def _search_weights(
    candidates: Candidates, indices: np.ndarray, method: str, options: BlendOptions
) -> np.ndarray:
    """One weight per run for all columns; the predictions are on the scale of the average."""
    selected = {name: values[:, indices] for name, values in candidates.predictions.items()}

    def objective(weights: np.ndarray) -> float:
        blended = {
            task.name: from_scale(
                task, np.tensordot(weights, selected[task.name], 1), options.average, options.power
            )
            for task in candidates.tasks
        }
        score = candidates.score(indices, blended)
        return -np.inf if score is None else candidates.sign * score

    if method == "hill_climbing":
        return hill_climb(objective, candidates.n_members, options.step, options.negative)
    return nelder_mead(objective, candidates.n_members, options.negative)
