"""How certain the scores of a run are: 95 % intervals of a score and of its gain over another.

Areas under the ROC curve have the interval of DeLong. All other metrics have that of a bootstrap,
which draws rows within their folds. Large tables are sampled in part: a draw then has fewer rows,
and the deviations of the draws are scaled by the square root of the share of the rows, as the
deviation of a mean is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from auxfold.config import BIAS
from auxfold.config.experiment import Experiment
from auxfold.data.table import Table
from auxfold.evaluation.bootstrap import bootstrap_scores, percentile_interval
from auxfold.evaluation.delong import Area, mean_area
from auxfold.evaluation.score_function import create_score, select_scored_tasks
from auxfold.tasks import TaskSet
from auxfold.tasks.metrics import higher_is_better

MIN_DRAWS, MAX_DRAWS = 200, 1000
MAX_CELLS = 50_000_000  # predictions of all draws together; some seconds
SEED = 0
Predictions = dict[str, np.ndarray]


def main_metrics(tasks: TaskSet) -> list[str]:
    """The metrics that have intervals: the selection metric, and every task's default one."""
    names = [tasks.selection_metric, *(f"{task.name}/{task.default_metric}" for task in tasks)]
    return [name for name in dict.fromkeys(names) if not name.endswith("_std")]


class MetricIntervals:
    """The intervals of one metric on some rows.

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
        self.metric, self.folds, self.labels = metric, folds, table.labels
        self.tasks = select_scored_tasks(experiment, tasks, metric)
        self.score = create_score(experiment, table, self.tasks, metric)
        self.sign = 1 if higher_is_better(metric) else -1
        columns = sum(task.n_outputs for task in self.tasks)
        if metric.startswith(f"{BIAS}/"):
            columns = 1 + len(experiment.identities.columns)
        self.draws, self.rows_per_draw = plan_draws(len(table), columns)

    def interval(self, predictions: Predictions) -> dict[str, Any] | None:
        """``low``, ``high``, ``method``, ``draws`` and ``rows``; None where there is none."""
        if self._is_area:
            area = self._area(predictions)
            return None if area is None else _record(*area.interval(), method="delong")
        value = self._values([predictions])[0]
        low, high = percentile_interval(value + self._deviations([predictions])[:, 0])
        if low is None or high is None:
            return None
        return _record(low, high, "bootstrap", self.draws, self.rows_per_draw)

    def gains(
        self, predictions: Predictions, baselines: dict[str, Predictions]
    ) -> dict[str, dict[str, float]]:
        """Baseline to ``gain``, ``low`` and ``high``: above zero where the predictions are better.

        A baseline on which the metric is undefined is left out.
        """
        everything = [predictions, *baselines.values()]
        values = self._values(everything)
        gains = self.sign * (values[0] - values[1:])
        if self._is_area:
            areas = [self._area(single) for single in everything]
            bounds = [
                (None, None) if areas[0] is None or area is None else areas[0].gain_interval(area)
                for area in areas[1:]
            ]
        else:
            deviations = self._deviations(everything)
            sampled = gains + self.sign * (deviations[:, :1] - deviations[:, 1:])
            bounds = [percentile_interval(column) for column in sampled.T]
        return {
            name: {"gain": float(gain), "low": low, "high": high}
            for name, gain, (low, high) in zip(baselines, gains, bounds, strict=True)
            if low is not None and high is not None and np.isfinite(gain)
        }

    @property
    def _is_area(self) -> bool:
        parts = self.metric.split("/")
        return "auc" in parts[:2] and all(task.has_positive_class for task in self.tasks)

    def _area(self, predictions: Predictions) -> Area | None:
        column = self.metric.split("/")[2] if self.metric.count("/") == 2 else None
        return mean_area(
            (labels[:, position], predictions[task.name][:, position])
            for task, columns in self.tasks.items()
            for labels in [self.labels[:, columns]]
            for position, name in enumerate(task.settings.targets)
            if column in (None, name)
        )

    def _values(self, everything: list[Predictions]) -> np.ndarray:
        """The score of each of several predictions, NaN where undefined."""
        indices = np.arange(len(self.folds))
        scores = [self.score(indices, predictions) for predictions in everything]
        return np.array([np.nan if score is None else score for score in scores])

    def _deviations(self, everything: list[Predictions]) -> np.ndarray:
        """``(draws, predictions)``: how far the scores of the draws are from those of all rows."""
        scores = bootstrap_scores(
            self.score, self.folds, everything,
            draws=self.draws, seed=SEED, rows_per_draw=self.rows_per_draw,
        )  # fmt: skip
        n_rows = len(self.folds)
        if self.rows_per_draw == n_rows:
            return scores - self._values(everything)
        # A score of fewer rows may be off in one direction, which more rows would not be.
        centers = np.array([np.nanmean(c) if np.isfinite(c).any() else np.nan for c in scores.T])
        return (scores - centers) * np.sqrt(self.rows_per_draw / n_rows)


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
