"""The numbers at the top of the report: the main score, what is behind it, what it is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from auxfold.report.tables import format_interval, format_score
from auxfold.tasks.metrics import higher_is_better

BASELINES = {"tfidf": "TF-IDF with linear models", "majority": "always predicting the mean label"}


@dataclass(frozen=True)
class Figure:
    """One number with the words that say what it is.

    Attributes:
        value: the number.
        title: what it is, in a few words.
        note: more about it, or an empty string.
    """

    value: str
    title: str
    note: str = ""


def headline(record: dict[str, Any]) -> list[Figure]:
    """The main metric out of fold, over the folds, on test rows, and of the baselines.

    Args:
        record: from ``cross_validate``.
    """
    figures = [_out_of_fold(record), _mean_of_folds(record), _rank_within_folds(record)]
    figures += [_test_score(record["test"])] if "test" in record else []
    figures += [_baseline(record, name) for name in BASELINES]
    return [figure for figure in figures if figure is not None]


def _out_of_fold(record: dict[str, Any]) -> Figure:
    metric = record["main"]
    direction = "higher is better" if higher_is_better(metric) else "lower is better"
    interval = record.get("intervals", {}).get(metric)
    note = "" if interval is None else f"95 % interval {format_interval(interval)}"
    title = f"{metric} out of fold ({direction})"
    return Figure(format_score(record["oof"][metric]), title, note)


def _mean_of_folds(record: dict[str, Any]) -> Figure | None:
    mean, std = record["mean"][record["main"]], record["std"][record["main"]]
    if mean is None or std is None:
        return None
    note = f"{len(record['folds'])} folds, ± sample deviation"
    return Figure(f"{format_score(mean)} ± {format_score(std)}", "mean of the folds", note)


def _rank_within_folds(record: dict[str, Any]) -> Figure | None:
    score = record.get("rank_within_folds", {}).get(record["main"])
    if score is None:
        return None
    note = "every prediction replaced by its rank within its fold"
    return Figure(format_score(score), "ranked within folds", note)


def _test_score(test: dict[str, Any]) -> Figure:
    """The score of the fold ensemble, next to those of its single folds and of their soup."""
    title = f"{test['metric']} on {test['rows']:,} test rows"
    if not test["scores"]:
        return Figure(format_score(test["soup"]), title, "soup of the folds")
    *_, (ensemble,) = test["scores"].values()
    single = [score for score in test["scores"]["1"] if score is not None]
    n_folds = len(test["scores"])
    note = f"ensemble of {n_folds} folds" if n_folds > 1 else "one fold"
    if single and n_folds > 1:
        note += f"; single folds {format_score(min(single))} to {format_score(max(single))}"
    if "soup" in test:
        note += f"; soup of the folds {format_score(test['soup'])}"
    return Figure(format_score(ensemble), title, note)


def _baseline(record: dict[str, Any], name: str) -> Figure | None:
    """One baseline, with the gain of the run over it on the same rows."""
    baselines, metric = record.get("baselines", {}), record["main"]
    score = baselines.get(name, {}).get(metric)
    if score is None:
        return None
    gain = baselines.get("gains", {}).get(metric, {}).get(name)
    note = "" if gain is None else f"the run is {_describe_gain(gain)}"
    if baselines["rows"] < record["rows"]:
        note += f", on {baselines['rows']:,} of the rows"
    return Figure(format_score(score), BASELINES[name], note)


def _describe_gain(gain: dict[str, float]) -> str:
    """``better (+0.0512, 95 % interval +0.0401 to +0.0610)``, or no better, or worse."""
    verdict = "better" if gain["low"] > 0 else "worse" if gain["high"] < 0 else "no better"
    interval = f"95 % interval {gain['low']:+.4f} to {gain['high']:+.4f}"
    return f"{verdict} ({gain['gain']:+.4f}, {interval})"
