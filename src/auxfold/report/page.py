"""The cross-validated table as text, and the report as one HTML file without network."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader

from auxfold.config.experiment import Experiment, to_toml
from auxfold.data.sources import rows_per_source
from auxfold.data.table import Table
from auxfold.fairness.jigsaw_bias import Bias
from auxfold.report import plots
from auxfold.report.bias_plot import plot_bias
from auxfold.report.main_plots import plot_main
from auxfold.report.plots import Plot
from auxfold.storage.atomic import read_json
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import label_slices, label_summary, main_slice, make_tasks
from auxfold.tasks.metrics import higher_is_better, metric_name


def cv_table(record: dict[str, Any]) -> str:
    """The scores per fold, their mean, spread and the out-of-fold score, as plain text.

    Of single labels the main metric alone: the report has the others.
    """
    header, rows = cv_rows(record)
    main = metric_name(record["main"])
    rows = [row for row in rows if row[0].count("/") < 2 or metric_name(row[0]) == main]
    widths = [max(len(r[i]) for r in [header, *rows]) for i in range(len(header))]
    lines = [
        "  ".join(cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in [header, *rows])
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
        rows.append([name, *map(_cell, values)])
    return header, rows


def _cell(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if abs(value) < 100 else f"{value:,.1f}"  # large ones have units


def render_report(
    experiment: Experiment,
    record: dict[str, Any],
    table: Table,
    folds: np.ndarray,
    oof: pd.DataFrame,
    hardest: pd.DataFrame,
) -> str:
    """The report page: one file that needs no network.

    Args:
        experiment: what was run.
        record: the cross-validated scores, from ``cross_validate``.
        table: the training rows.
        folds: their folds.
        oof: their out-of-fold predictions.
        hardest: what ``worst_errors`` gave; texts are hidden until asked for.
    """
    header, rows = cv_rows(record)
    environment = Environment(loader=PackageLoader("auxfold.report"), autoescape=True)
    return environment.get_template("report.html.j2").render(
        experiment=experiment,
        toml=to_toml(experiment),
        record=record,
        header=header,
        rows=[row for row in rows if row[0].count("/") < 2],
        label_rows=[row for row in rows if row[0].count("/") == 2],
        main=record["main"],
        n_folds=folds_in_words(experiment),
        arrow="higher is better" if higher_is_better(record["main"]) else "lower is better",
        label_summary=_label_summary(experiment, table, folds),
        plots=[plot for plot in _plots(experiment, record, table, folds, oof) if plot],
        hardest=hardest.to_dict("records"),
        lines=[*threshold_lines(record), *calibration_lines(record)],
        id_column=experiment.data.id_column,
        run=read_json(RunFolder.of(experiment).fold(0).run),
    )


def folds_in_words(experiment: Experiment) -> str:
    """``5 folds``, or what is held out instead."""
    validation = experiment.folds.validation
    if validation is None:
        return f"{experiment.folds.n_splits} folds"
    return f"validated on {validation}" + (" rows" if isinstance(validation, int) else "")


def _plots(
    experiment: Experiment,
    record: dict[str, Any],
    table: Table,
    folds: np.ndarray,
    oof: pd.DataFrame,
) -> list[Plot | None]:
    task, columns = main_slice(experiment)
    predictions = oof[task.prediction_columns].to_numpy()
    folder = RunFolder.of(experiment)
    paths = [folder.fold(k).history for k in experiment.folds.names]
    histories = [[json.loads(line) for line in p.read_text().splitlines()] for p in paths]
    return [
        plots.plot_folds(record),
        plot_bias(Bias.of_record(record["bias"])) if "bias" in record else None,
        plots.plot_ensemble(record["test"]) if "test" in record else None,
        plots.plot_learning(record, histories),
        plots.plot_ablation(read_json(folder.ablation)) if folder.ablation.is_file() else None,
        *(
            plots.plot_comparison(read_json(folder.comparison))
            if folder.comparison.is_file()
            else ()
        ),
        plots.plot_balance(histories, experiment.main_task.name),
        *plot_main(task, table.labels[:, columns], predictions, folds, record["calibration"]),
        *_every_label(experiment, record),
        *_binary_labels(experiment, table),
    ]


def _every_label(experiment: Experiment, record: dict[str, Any]) -> list[Plot | None]:
    """One plot per kind of task: a metric without units, column by column."""
    made: dict[str, dict[str, str]] = {}
    for task in make_tasks(experiment):
        several = len(task.settings.columns) > 1
        for column in task.settings.columns:
            metric = task.headline[0]
            name = f"{task.name}/{metric}" + (f"/{column}" if several else "")
            made.setdefault(metric, {})[column] = name
    return [plots.plot_columns(record, metric, columns) for metric, columns in made.items()]


def _binary_labels(experiment: Experiment, table: Table) -> list[Plot]:
    pairs = label_slices(make_tasks(experiment))
    binary = [(task, columns) for task, columns in pairs if task.settings.kind == "binary"]
    if not binary:
        return []
    names = [column for task, _ in binary for column in task.settings.columns]
    labels = np.concatenate([table.labels[:, columns] for _, columns in binary], axis=1)
    return [plots.plot_labels(names, labels)]


def threshold_lines(record: dict[str, Any]) -> list[str]:
    """What thresholds tuned out of fold bring: F1 task by task, a wanted precision by column."""
    lines = [
        f"{task}: macro F1 {told['at_half']:.4f} at 0.5, {told['tuned']:.4f} at thresholds tuned "
        f"on the other folds"
        for task, told in record.get("thresholds", {}).get("f1", {}).items()
        if told["at_half"] is not None and told["tuned"] is not None
    ]
    for rule, told in record.get("precision", {}).items():
        for column, found in told["nested"].items():
            cut = told["values"][column]
            at = "no threshold is that precise" if cut is None else f"threshold {cut:.4f}"
            lines.append(
                f"{column}, {rule}: {at}; at those of the other folds precision "
                f"{_cell(found['precision'])}, recall {_cell(found['recall'])}"
            )
    return lines


def calibration_lines(record: dict[str, Any]) -> list[str]:
    """Log loss and calibration error of every task, before and after; means over its columns."""
    by_task: dict[str, list[dict[str, Any]]] = {}
    for told in record.get("calibration", {}).values():
        by_task.setdefault(told["task"], []).append(told)
    return [
        f"{task}: "
        + "; ".join(
            f"{name} "
            + ", ".join(f"{_mean([c[what][m] for c in columns])} {m}" for m in columns[0][what])
            for name, what in (("log loss", "log_loss"), ("calibration error", "ece"))
        )
        + (" (calibrated on the other folds)" if len(columns[0]["ece"]) > 1 else "")
        for task, columns in by_task.items()
    ]


def _mean(values: list[float | None]) -> str:
    defined = [value for value in values if value is not None]
    return _cell(float(np.mean(defined)) if defined else None)


def ensemble_line(test: dict[str, Any]) -> str:
    """The ensemble beside its single folds on test rows, in one line."""
    *_, whole = test["scores"].values()
    single = [value for value in test["scores"]["1"] if value is not None]
    if not single or whole[0] is None:
        return f"test rows: {test['metric']} is undefined on them"
    return (
        f"{test['rows']:,} test rows, {test['metric']}: ensemble {whole[0]:.4f}, "
        f"single folds {min(single):.4f} to {max(single):.4f}"
    )


def _label_summary(experiment: Experiment, table: Table, folds: np.ndarray) -> list[dict[str, Any]]:
    tasks = make_tasks(experiment)
    return [
        {
            "fold": fold,
            "rows": int((folds == fold).sum()),
            "told": {
                **label_summary(tasks, table.labels[folds == fold]),
                **rows_per_source(experiment.data, table.sources_of(folds == fold)),
            },
        }
        for fold in experiment.folds.names
    ]
