"""How certain the scores of a run are: 95 % intervals of a score and of its gain over another.

Areas under the ROC curve have the interval of DeLong. All other metrics have that of a bootstrap,
which draws rows within their folds. Large tables are sampled in part: a draw then has fewer rows,
and the deviations of the draws are scaled by the square root of the share of the rows, as the
deviation of a mean is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from auxfold.config import BIAS
from auxfold.config.experiment import Experiment
from auxfold.data.table import Table
from auxfold.evaluation.bootstrap import bootstrap_scores, percentile_interval
from auxfold.evaluation.delong import mean_area
from auxfold.evaluation.score_function import (
    ScoreFunction,
    create_score,
    select_scored_tasks,
)
from auxfold.tasks import TaskSet
from auxfold.tasks.metrics import higher_is_better

MIN_DRAWS, MAX_DRAWS = 200, 1000
MAX_CELLS = 50_000_000  # predictions of all draws together; some seconds
BIAS_COLUMNS = 2  # what a row costs: one sort of all rows, and identities that few rows have
SEED = 0
Predictions = dict[str, np.ndarray]


def main_metrics(tasks: TaskSet) -> list[str]:
    """The metrics that have intervals: the selection metric, and every task's default one."""
    names = [tasks.selection_metric, *(f"{task.name}/{task.default_metric}" for task in tasks)]
    return [name for name in dict.fromkeys(names) if not name.endswith("_std")]


class Sampler:
    """Scores of sampled rows.

    Args:
        score: the metric as a function of rows and predictions.
        folds: the fold of each row, ``(rows,)``; rows are drawn within them.
        columns: the number of predictions per row that the metric reads.
    """

    def __init__(self, score: ScoreFunction, folds: np.ndarray, columns: int) -> None:
        self._score, self._folds = score, folds
        self.draws, self.rows_per_draw = plan_draws(len(folds), columns)

    def values(self, everything: list[Predictions]) -> np.ndarray:
        """The score of all rows for each of several predictions, NaN where undefined."""
        indices = np.arange(len(self._folds))
        scores = [self._score(indices, predictions) for predictions in everything]
        return np.array([np.nan if score is None else score for score in scores])

    def deviations(self, everything: list[Predictions]) -> np.ndarray:
        """``(draws, predictions)``: how far the scores of the draws are from those of all rows."""
        scores = bootstrap_scores(
            self._score, self._folds, everything,
            draws=self.draws, seed=SEED, rows_per_draw=self.rows_per_draw,
        )  # fmt: skip
        n_rows = len(self._folds)
        if self.rows_per_draw == n_rows:
            return scores - self.values(everything)
        # A score of fewer rows may be off in one direction, which more rows would not be.
        centers = np.array([np.nanmean(c) if np.isfinite(c).any() else np.nan for c in scores.T])
        return (scores - centers) * np.sqrt(self.rows_per_draw / n_rows)

    def interval(self, predictions: Predictions) -> dict[str, Any] | None:
        """``low``, ``high``, ``method``, ``draws`` and ``rows``; None where there is none."""
        value = self.values([predictions])[0]
        low, high = percentile_interval(value + self.deviations([predictions])[:, 0])
        if low is None or high is None:
            return None
        return _record(low, high, "bootstrap", self.draws, self.rows_per_draw)


def area_interval(columns: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict[str, Any] | None:
    """The interval of the mean area of columns of labels and scores; see ``mean_area``."""
    area = mean_area(columns)
    return None if area is None else _record(*area.interval(), method="delong")


class MetricIntervals:
    """The intervals of one metric of an experiment on some rows.

    Predictions are a dictionary of task name to ``(rows, n_outputs)``.

    Args:
        experiment: names the identities.
        tasks: all tasks of the experiment.
        table: the rows that are scored.
        folds: their folds, ``(rows,)``.
        metric: ``<task>/<metric>[/<column>]``, ``<metric>`` (the mean over multi-class tasks), or
            ``jigsaw_bias/...``.
    """

    def __init__(
        self, experiment: Experiment, tasks: TaskSet, table: Table, folds: np.ndarray, metric: str
    ) -> None:
        if "/" not in metric:
            tasks = tasks.subset(task.name for task in tasks if task.has_mean_over_tasks)
        self._metric, self._labels = metric, table.labels
        self._tasks = select_scored_tasks(experiment, tasks, metric)
        self._sign = 1 if higher_is_better(metric) else -1
        columns = sum(task.n_outputs for task in self._tasks)
        if metric.startswith(f"{BIAS}/"):
            columns = BIAS_COLUMNS
        score = create_score(experiment, table, self._tasks, metric)
        self._sampler = Sampler(score, folds, columns)

    def interval(self, predictions: Predictions) -> dict[str, Any] | None:
        """``low``, ``high``, ``method``, ``draws`` and ``rows``; None where there is none."""
        if self._is_area:
            return area_interval(self._columns(predictions))
        return self._sampler.interval(predictions)

    def gains(
        self, predictions: Predictions, baselines: dict[str, Predictions]
    ) -> dict[str, dict[str, float]]:
        """Baseline to ``gain``, ``low`` and ``high``: above zero where the predictions are better.

        A baseline on which the metric is undefined is left out.
        """
        everything = [predictions, *baselines.values()]
        values = self._sampler.values(everything)
        gains = self._sign * (values[0] - values[1:])
        bounds = self._gain_bounds(everything, gains)
        return {
            name: {"gain": float(gain), "low": low, "high": high}
            for name, gain, (low, high) in zip(baselines, gains, bounds, strict=True)
            if low is not None and high is not None and np.isfinite(gain)
        }

    def _gain_bounds(
        self, everything: list[Predictions], gains: np.ndarray
    ) -> list[tuple[float | None, float | None]]:
        if self._is_area:
            run, *others = [mean_area(self._columns(single)) for single in everything]
            return [
                (None, None) if run is None or area is None else run.gain_interval(area)
                for area in others
            ]
        deviations = self._sampler.deviations(everything)
        sampled = gains + self._sign * (deviations[:, :1] - deviations[:, 1:])
        return [percentile_interval(column) for column in sampled.T]

    @property
    def _is_area(self) -> bool:
        parts = self._metric.split("/")
        return "auc" in parts[:2] and all(task.has_positive_class for task in self._tasks)

    def _columns(self, predictions: Predictions) -> list[tuple[np.ndarray, np.ndarray]]:
        """Labels and predictions of the binary columns that the metric reads."""
        column = self._metric.split("/")[2] if self._metric.count("/") == 2 else None
        return [
            (self._labels[:, columns][:, position], predictions[task.name][:, position])
            for task, columns in self._tasks.items()
            for position, name in enumerate(task.settings.targets)
            if column in (None, name)
        ]


def plan_draws(n_rows: int, columns: int) -> tuple[int, int]:
    """How many draws there are, and how many rows each of them has.

    Args:
        n_rows: the number of rows.
        columns: the number of predictions per row that the metric reads.
    """
    rows = min(n_rows, max(1, MAX_CELLS // (MIN_DRAWS * columns)))
    draws = MAX_CELLS // (rows * columns)
    return int(np.clip(draws, MIN_DRAWS, MAX_DRAWS)), rows


def _record(
    low: float, high: float, method: str, draws: int | None = None, rows: int | None = None
) -> dict[str, Any]:
    return {"low": low, "high": high, "method": method, "draws": draws, "rows": rows}
