"""The results of a run as text: tables and lines for the console and the report page."""

from __future__ import annotations

from typing import Any

from auxfold.tasks.metrics import mean_defined, metric_name


def format_cv_table(record: dict[str, Any]) -> str:
    """The cross-validated scores: of every fold, mean, deviation, and out of fold.

    For single labels only the main metric is in the table. The report has the others.

    Args:
        record: from ``cross_validate``.
    """
    header, rows = cv_rows(record)
    main = metric_name(record["main"])
    rows = [row for row in rows if row[0].count("/") < 2 or metric_name(row[0]) == main]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in [header, *rows]
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def cv_rows(record: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the cross-validated table; ``–`` where a metric is undefined."""
    n_folds = len(record["folds"])
    header = ["metric", "OOF", "mean", "std", *[f"fold {k}" for k in range(n_folds)]]
    rows = []
    for name in record["oof"]:
        values = [record["oof"][name], record["mean"][name], record["std"][name]]
        values += [fold[name] for fold in record["folds"]]
        rows.append([name, *map(format_score, values)])
    return header, rows


def format_score(value: float | None) -> str:
    """A score with four digits, ``–`` where it is undefined."""
    if value is None:
        return "–"
    return f"{value:.4f}" if abs(value) < 100 else f"{value:,.1f}"  # large scores have units


def describe_thresholds(record: dict[str, Any]) -> list[str]:
    """What thresholds that were tuned out of fold bring, one line each.

    The lines are the F1 of every task, then precision and recall of every column for each target
    precision.

    Args:
        record: from ``evaluate_postprocess`` or ``cross_validate``.
    """
    lines = [
        f"{task}: macro F1 {f1['at_half']:.4f} at 0.5, {f1['tuned']:.4f} at thresholds tuned "
        f"on the other folds"
        for task, f1 in record.get("thresholds", {}).get("f1", {}).items()
        if f1["at_half"] is not None and f1["tuned"] is not None
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
    """The fold ensemble and its single folds on test rows, in one line.

    Args:
        test: from ``score_fold_ensembles``.
    """
    *_, of_all_folds = test["scores"].values()
    single = [score for score in test["scores"]["1"] if score is not None]
    if not single or of_all_folds[0] is None:
        return f"test rows: {test['metric']} is undefined on them"
    return (
        f"{test['rows']:,} test rows, {test['metric']}: ensemble {of_all_folds[0]:.4f}, "
        f"single folds {min(single):.4f} to {max(single):.4f}"
    )
