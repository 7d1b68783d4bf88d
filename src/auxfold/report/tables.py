"""The results of a run as text: tables and lines for the console and the report page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from auxfold.tasks.metrics import higher_is_better, mean_defined, metric_name

MAX_LABELS = 10  # of a task in the console; of more labels those with the worst score
MAX_FOLDS = 5  # with a column each


def format_cv_table(record: dict[str, Any]) -> str:
    """The cross-validated scores: out of fold, over the folds, of every fold, of the baselines.

    For single labels only the main metric is in the table, and of many labels only the worst. Of
    many folds only the lowest and the highest score are. The report has the others.

    Args:
        record: from ``cross_validate``.
    """
    columns = score_columns(record)
    names, lines_below = _select_rows(record)
    header = ["metric", *columns]
    rows = [[name, *(format_cell(c.get(name)) for c in columns.values())] for name in names]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in [header, *rows]
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:], *lines_below])


def score_columns(record: dict[str, Any], max_folds: int = MAX_FOLDS) -> dict[str, dict[str, Any]]:
    """Heading to metric to value, in the order in which a table shows them.

    A value is a score, an interval, or mean and deviation. Columns that no metric has are left out.

    Args:
        record: from ``cross_validate``, or from ``out_of_fold_scores``.
        max_folds: of more folds there are only the lowest and the highest score.
    """
    folds, baselines = record["folds"], record.get("baselines", {})
    by_fold = {f"fold {number}": scores for number, scores in enumerate(folds)}
    if len(folds) > max_folds:
        by_fold = {
            heading: {name: _extreme(best, [fold[name] for fold in folds]) for name in folds[0]}
            for heading, best in (("lowest fold", min), ("highest fold", max))
        }
    columns = {
        "OOF": record["oof"],
        "95 % interval": record.get("intervals", {}),
        "mean ± std": {name: (mean, record["std"][name]) for name, mean in record["mean"].items()},
        "fold ranks": record.get("rank_within_folds", {}),
        "TF-IDF": baselines.get("tfidf", {}),
        "majority": baselines.get("majority", {}),
        **by_fold,
    }
    return {heading: values for heading, values in columns.items() if values}


def _extreme(choose: Callable[[list[float]], float], scores: list[float | None]) -> float | None:
    defined = [score for score in scores if score is not None]
    return choose(defined) if defined else None


def _select_rows(record: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The metrics that the console shows, and lines that say what it leaves out."""
    main = metric_name(record["main"])
    names = [n for n in record["oof"] if n.count("/") < 2 or metric_name(n) == main]
    labels_of_task: dict[str, list[str]] = {}
    for name in names:
        if name.count("/") == 2:
            labels_of_task.setdefault(name.split("/")[0], []).append(name)
    hidden: set[str] = set()
    lines = []
    for task, labels in labels_of_task.items():
        if len(labels) > MAX_LABELS:
            hidden |= set(_sort_from_worst(labels, record)[MAX_LABELS:])
            n_better = len(labels) - MAX_LABELS
            lines.append(f"{task}: {n_better} more labels with a better {main} are in the report")
    return [name for name in names if name not in hidden], lines


def _sort_from_worst(names: list[str], record: dict[str, Any]) -> list[str]:
    """Metrics by their out-of-fold score, undefined ones first."""
    sign = 1 if higher_is_better(names[0]) else -1
    scores = {name: record["oof"][name] for name in names}
    return sorted(names, key=lambda n: -np.inf if scores[n] is None else sign * scores[n])


def format_cell(value: float | tuple[float | None, ...] | dict[str, Any] | None) -> str:
    """A score, an interval, or a mean with its deviation."""
    if isinstance(value, dict):
        return format_interval(value)
    if isinstance(value, tuple):
        return (
            " ± ".join(map(format_score, value)) if value[1] is not None else format_score(value[0])
        )
    return format_score(value)


def format_interval(interval: dict[str, Any]) -> str:
    """``0.9321–0.9534``."""
    return f"{format_score(interval['low'])}–{format_score(interval['high'])}"


def describe_intervals(intervals: dict[str, dict[str, Any]]) -> list[str]:
    """One line per metric with a 95 % interval."""
    return [
        f"95 % interval of {name}: {format_score(bounds['low'])} to "
        f"{format_score(bounds['high'])} ({bounds['method']})"
        for name, bounds in intervals.items()
    ]


def describe_baselines(record: dict[str, Any]) -> str:
    """What the baselines are, and how many rows they have, in one line.

    Args:
        record: with ``baselines``, from ``baseline_record``.
    """
    baselines, main = record["baselines"], record["main"]
    text = f"baselines of {baselines['rows']:,} rows on the same folds"
    if baselines["rows"] < record["rows"]:
        run = format_score(baselines["run"].get(main))
        text = f"{text} (of {record['rows']:,}; {main} of the run on them: {run})"
    return f"{text}: TF-IDF with linear models, and always predicting the mean label"


def format_score(value: float | None) -> str:
    """A score with four digits, ``–`` where it is undefined."""
    if value is None:
        return "–"
    return f"{value:.4f}" if abs(value) < 100 else f"{value:,.1f}"  # large scores have units


def describe_thresholds(record: dict[str, Any]) -> list[str]:
    """What thresholds that were tuned out of fold bring, one line each.

    The lines are the F1 of every task, the quadratic kappa of ordered classes, then precision and
    recall of every column for each target precision.

    Args:
        record: from ``evaluate_postprocess`` or ``cross_validate``.
    """
    lines = [
        f"{task}: macro F1 {f1['at_half']:.4f} at 0.5, {f1['tuned']:.4f} at thresholds tuned "
        f"on the other folds"
        for task, f1 in record.get("thresholds", {}).get("f1", {}).items()
        if f1["at_half"] is not None and f1["tuned"] is not None
    ]
    lines += [
        f"{task}: quadratic kappa {kappa['untuned']:.4f}, {kappa['tuned']:.4f} at cut points tuned "
        f"on the other folds"
        for task, kappa in record.get("cut_points", {}).get("qwk", {}).items()
        if kappa["untuned"] is not None and kappa["tuned"] is not None
    ]
    for rule, results in record.get("precision", {}).items():
        for column, nested in results["nested"].items():
            threshold = results["values"][column]
            text = "no threshold is that precise"
            if threshold is not None:
                text = f"threshold {threshold:.4f}"
            lines.append(
                f"{column}, {rule}: {text}; with the thresholds of the other folds precision "
                f"{format_score(nested['precision'])}, recall {format_score(nested['recall'])}"
            )
    return lines


def describe_calibration(record: dict[str, Any]) -> list[str]:
    """Log loss and calibration error before and after calibration, one line per task.

    Both are means over the columns of the task.

    Args:
        record: from ``evaluate_postprocess`` or ``cross_validate``.
    """
    columns_of_task: dict[str, list[dict[str, Any]]] = {}
    for scores in record.get("calibration", {}).values():
        columns_of_task.setdefault(scores["task"], []).append(scores)
    lines = []
    for task, columns in columns_of_task.items():
        log_losses = _mean_by_method([scores["log_loss"] for scores in columns])
        errors = _mean_by_method([scores["ece"] for scores in columns])
        is_calibrated = len(columns[0]["ece"]) > 1
        note = " (calibrated on the other folds)" if is_calibrated else ""
        lines.append(f"{task}: log loss {log_losses}; calibration error {errors}{note}")
    return lines


def _mean_by_method(columns: list[dict[str, float | None]]) -> str:
    """``0.1234 raw, 0.1200 temperature``: means over columns of method to score."""
    return ", ".join(
        f"{format_score(mean_defined(scores[method] for scores in columns))} {method}"
        for method in columns[0]
    )


def describe_fold_ensemble(test: dict[str, Any]) -> str:
    """The fold ensemble, a soup of the folds and the single folds on test rows, in one line.

    Args:
        test: from ``score_fold_ensembles``.
    """
    parts = []
    if test["scores"]:
        *_, of_all_folds = test["scores"].values()
        single = [score for score in test["scores"]["1"] if score is not None]
        if single and of_all_folds[0] is not None:
            parts.append(f"ensemble {of_all_folds[0]:.4f}")
            parts.append(f"single folds {min(single):.4f} to {max(single):.4f}")
    if test.get("soup") is not None:
        parts.insert(1, f"soup of the folds {test['soup']:.4f}")
    if not parts:
        return f"test rows: {test['metric']} is undefined on them"
    return f"{test['rows']:,} test rows, {test['metric']}: {', '.join(parts)}"
