"""Which weights several runs get, and what blending them brings, measured without flattery.

A method's *nested* score is that of rows blended with weights that were fitted on the other folds'
rows only; the score with weights fitted on all rows stands beside it as ``in_sample``. Where no
weights are fitted the two are the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from auxfold.blending.bootstrap import gain_intervals
from auxfold.blending.members import Candidates, rows_of
from auxfold.blending.search import hill_climb, nelder_mead
from auxfold.errors import InputError, nearest
from auxfold.postprocessing.averaging import check_average, from_scale, output_weights, to_scale
from auxfold.tasks import prediction_frame
from auxfold.tasks.metrics import higher_is_better, metric_name

EQUAL = {"mean": "probability", "logit": "logit", "rank": "rank", "power": "power"}
FITTED = ("hill_climbing", "nelder_mead")
METHODS = (*EQUAL, *FITTED)
OF_PROBABILITIES = ("log_loss", "f1")  # binary metrics that more than the rows' order decides


@dataclass(frozen=True)
class Options:
    """How weights are found.

    Attributes:
        average: the scale of the fitted methods, one of ``averaging.AVERAGES``.
        power: the exponent of the power mean.
        negative: fitted weights may be below zero.
        step: what a step of hill climbing adds.
        by_column: fit each label column's weights on its own.
        draws: bootstrap samples of the gain's interval; 0: none.
        seed: of the bootstrap.
    """

    average: str = "probability"
    power: float = 3.5
    negative: bool = False
    step: float = 0.1
    by_column: bool = False
    draws: int = 200
    seed: int = 42


@dataclass(frozen=True)
class Fitted:
    """One method on the runs at hand.

    Attributes:
        method: its name.
        average: on which scale it averages.
        weights: label column to ``(members,)``, fitted on all rows.
        nested: predictions of every row by weights of the other folds, by task name.
        record: the scores: ``in_sample``, ``nested``, ``folds`` and their ``mean``, ``gain`` over
            the best single run with ``low`` and ``high``.
    """

    method: str
    average: str
    weights: dict[str, np.ndarray]
    nested: dict[str, np.ndarray]
    record: dict[str, Any]


def check_methods(methods: list[str], candidates: Candidates, options: Options) -> None:
    """Refuse what cannot be done, before anything is computed.

    Raises:
        InputError: an unknown method, an average that the tasks have not, options that exclude each
            other, or a metric that is undefined on the rows.
    """
    for method in methods:
        _check_method(method, candidates, options)
    if options.negative and options.average == "power":
        raise InputError(
            "--negative: a power mean has no root where weights below zero prevail; take --average "
            "probability, logit or rank"
        )
    rows = np.arange(len(candidates.folds))
    if candidates.score(rows, _one(candidates, 0)) is None:
        raise InputError(f"--metric {candidates.metric} is undefined on these rows")
    if options.by_column:
        for part in candidates.by_column():
            if part.score(rows, _one(part, 0)) is None:
                raise InputError(
                    f"--by column: {candidates.metric} is undefined on column "
                    f"{part.tasks[0].settings.columns[0]!r}"
                )


def usable(methods: tuple[str, ...], candidates: Candidates, options: Options) -> list[str]:
    """Those that have a meaning for the tasks and the metric; fitted ones are as was asked for."""
    made = []
    for method in methods:
        try:
            _check_method(method, candidates, options)
        except InputError:
            if method in FITTED:
                raise
            continue
        made.append(method)
    return made


def _check_method(method: str, candidates: Candidates, options: Options) -> None:
    if method not in METHODS:
        raise InputError(
            f"--method {method}{nearest(method, METHODS)}; one of {', '.join(METHODS)}, or all"
        )
    average = _average(method, options)
    check_average(average, candidates.tasks, len(candidates.folds))
    if average == "rank" and metric_name(candidates.metric) in OF_PROBABILITIES:
        raise InputError(
            f"{candidates.metric} is a metric of probabilities, and mean ranks are none; take "
            f"another metric or average"
        )


def singles(candidates: Candidates, names: list[str]) -> dict[str, dict[str, Any]]:
    """Every run alone: its score on all rows, on each fold's, and their mean."""
    return {
        name: scores_by_fold(candidates, _one(candidates, number))
        for number, name in enumerate(names)
    }


def scores_by_fold(candidates: Candidates, predictions: dict[str, np.ndarray]) -> dict[str, Any]:
    """``oof`` (all rows at once), ``folds``, and their ``mean``; None where undefined."""
    folds = candidates.folds
    rows = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
    each = [candidates.score(own, rows_of(predictions, own)) for own in rows]
    return {
        "oof": candidates.score(np.arange(len(folds)), predictions),
        "folds": each,
        "mean": None if None in each else float(np.mean(each)),
    }


def best_single(candidates: Candidates, told: dict[str, dict[str, Any]]) -> int:
    """The number of the run with the best score on all rows; of equal ones the first."""
    sign = 1 if higher_is_better(candidates.metric) else -1
    scores = [-np.inf if one["oof"] is None else sign * one["oof"] for one in told.values()]
    return int(np.argmax(scores))


def fit_all(
    candidates: Candidates, methods: list[str], best: int, options: Options
) -> list[Fitted]:
    """Every method, with its gain over the run of number ``best``."""
    made = [_fit(candidates, method, options) for method in methods]
    alone = _one(candidates, best)
    rows = np.arange(len(candidates.folds))
    sign = 1 if higher_is_better(candidates.metric) else -1
    start = candidates.score(rows, alone)
    assert start is not None  # the best of scores that were checked
    intervals = gain_intervals(
        candidates.score, len(rows), [one.nested for one in made], alone,
        sign=sign, draws=options.draws, seed=options.seed,
    )  # fmt: skip
    for one, (low, high) in zip(made, intervals, strict=True):
        nested = one.record["nested"]
        gain = None if nested is None else sign * (nested - start)
        one.record.update({"gain": gain, "low": low, "high": high})
    return made


def choose(fitted: list[Fitted], metric: str) -> Fitted:
    """The method with the best nested score; of equal ones the first, which is the simplest."""
    sign = 1 if higher_is_better(metric) else -1
    scores = [one.record["nested"] for one in fitted]
    return fitted[int(np.argmax([-np.inf if s is None else sign * s for s in scores]))]


def blended_frame(
    candidates: Candidates, fitted: Fitted, id_column: str, ids: np.ndarray
) -> pd.DataFrame:
    """The blended out-of-fold file: every row by weights of the other folds."""
    return prediction_frame(id_column, ids, candidates.tasks, fitted.nested)


def correlations(candidates: Candidates) -> list[list[float | None]]:
    """Pearson correlation of the members' predictions, mean over the predicted columns.

    None where a column is constant.
    """
    columns = [p[:, :, i] for p in candidates.predictions.values() for i in range(p.shape[2])]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.mean([np.corrcoef(column) for column in columns], axis=0)
    return [[float(v) if np.isfinite(v) else None for v in row] for row in mean]


def _fit(candidates: Candidates, method: str, options: Options) -> Fitted:
    average = _average(method, options)
    scaled = {
        task.name: np.stack(
            [
                to_scale(task, values, average, options.power)
                for values in candidates.predictions[task.name]
            ]
        )
        for task in candidates.tasks
    }
    folds, every = candidates.folds, np.arange(len(candidates.folds))
    weights = _weights(candidates, scaled, every, method, options)
    nested = {task.name: np.empty_like(scaled[task.name][0]) for task in candidates.tasks}
    for fold in np.unique(folds):
        own, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        found = _weights(candidates, scaled, others, method, options)
        for name, values in _blend(candidates, scaled, own, found, average, options).items():
            nested[name][own] = values
    whole = _blend(candidates, scaled, every, weights, average, options)
    told = scores_by_fold(candidates, nested)
    record = {
        "in_sample": candidates.score(every, whole),
        "nested": told["oof"],
        "folds": told["folds"],
        "mean": told["mean"],
    }
    return Fitted(method, average, weights, nested, record)


def _weights(
    candidates: Candidates,
    scaled: dict[str, np.ndarray],
    rows: np.ndarray,
    method: str,
    options: Options,
) -> dict[str, np.ndarray]:
    """Label column to weights, fitted on the given rows."""
    n = len(next(iter(scaled.values())))
    columns = [column for task in candidates.tasks for column in task.settings.columns]
    if method in EQUAL:
        return dict.fromkeys(columns, np.full(n, 1 / n))
    # Scaled values take the place of predictions: the columns are cut out alike.
    ready = replace(candidates, predictions=scaled)
    if options.by_column:
        parts = {part.tasks[0].settings.columns[0]: part for part in ready.by_column()}
        return {column: _search(part, rows, method, options) for column, part in parts.items()}
    return dict.fromkeys(columns, _search(ready, rows, method, options))


def _search(candidates: Candidates, rows: np.ndarray, method: str, options: Options) -> np.ndarray:
    """One weight per member for all columns, whose predictions are on the scale already."""
    own = {name: values[:, rows] for name, values in candidates.predictions.items()}
    n = len(next(iter(own.values())))
    sign = 1 if higher_is_better(candidates.metric) else -1

    def objective(weights: np.ndarray) -> float:
        made = {
            task.name: from_scale(
                task, np.tensordot(weights, own[task.name], 1), options.average, options.power
            )
            for task in candidates.tasks
        }
        value = candidates.score(rows, made)
        return -np.inf if value is None else sign * value

    if method == "hill_climbing":
        return hill_climb(objective, n, options.step, options.negative)
    return nelder_mead(objective, n, options.negative)


def _blend(
    candidates: Candidates,
    scaled: dict[str, np.ndarray],
    rows: np.ndarray,
    weights: dict[str, np.ndarray],
    average: str,
    options: Options,
) -> dict[str, np.ndarray]:
    return {
        task.name: from_scale(
            task,
            np.einsum("mro,mo->ro", scaled[task.name][:, rows], output_weights(task, weights)),
            average,
            options.power,
        )
        for task in candidates.tasks
    }


def _average(method: str, options: Options) -> str:
    return EQUAL.get(method, options.average)


def _one(candidates: Candidates, number: int) -> dict[str, np.ndarray]:
    """One member's predictions by task name."""
    return {name: values[number] for name, values in candidates.predictions.items()}
