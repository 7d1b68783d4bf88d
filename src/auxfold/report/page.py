"""The report of a run: one HTML file that needs no network."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader

from auxfold.config.experiment import Experiment, to_toml
from auxfold.data.sources import rows_per_source
from auxfold.data.table import Table
from auxfold.evaluation.ablation import read_ablation
from auxfold.fairness.jigsaw_bias import Bias
from auxfold.report import run_plots
from auxfold.report.bias_plot import plot_bias
from auxfold.report.comparison_plot import plot_comparison
from auxfold.report.main_task_plots import plot_main_task
from auxfold.report.plot import Plot
from auxfold.report.tables import cv_rows, describe_calibration, describe_thresholds
from auxfold.storage.atomic import read_json
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import TaskSet
from auxfold.tasks.metrics import higher_is_better


def render_report(
    experiment: Experiment,
    tasks: TaskSet,
    record: dict[str, Any],
    table: Table,
    folds: np.ndarray,
    oof: pd.DataFrame,
    hardest: pd.DataFrame,
) -> str:
    """The report page as HTML.

    Args:
        experiment: the experiment of the run.
        tasks: its tasks.
        record: the cross-validated scores, from ``cross_validate``.
        table: the rows that some fold holds out.
        folds: their folds, ``(rows,)``.
        oof: their out-of-fold predictions.
        hardest: from ``worst_errors``; a text is hidden until the reader opens it.
    """
    header, rows = cv_rows(record)
    environment = Environment(loader=PackageLoader("auxfold.report"), autoescape=True)
    plots = [
        *_score_plots(experiment, record),
        *plot_main_task(
            tasks.main,
            table.labels[:, tasks.main_slice],
            oof[tasks.main.prediction_columns].to_numpy(),
            folds,
            record["calibration"],
        ),
        *_plot_every_label(tasks, record),
        *_plot_binary_labels(tasks, table),
    ]
    return environment.get_template("report.html.j2").render(
        experiment=experiment,
        toml=to_toml(experiment),
        record=record,
        header=header,
        rows=[row for row in rows if row[0].count("/") < 2],
        label_rows=[row for row in rows if row[0].count("/") == 2],
        main=record["main"],
        folds=describe_folds(experiment),
        direction="higher is better" if higher_is_better(record["main"]) else "lower is better",
        fold_rows=_fold_rows(experiment, tasks, table, folds),
        plots=plots,
        hardest=hardest.to_dict("records"),
        lines=[*describe_thresholds(record), *describe_calibration(record)],
        id_column=experiment.data.id_column,
        run=RunFolder.of(experiment).fold(0).read_run(),
    )


def describe_folds(experiment: Experiment) -> str:
    """``5 folds``, or what is held out instead."""
    validation = experiment.folds.validation
    if validation is None:
        return f"{experiment.folds.n_splits} folds"
    return f"validated on {validation}" + (" rows" if isinstance(validation, int) else "")


def _score_plots(experiment: Experiment, record: dict[str, Any]) -> list[Plot]:
    """The plots of scores and of training that the run has data for."""
    folder = RunFolder.of(experiment)
    paths = [folder.fold(fold).history for fold in experiment.folds.names]
    histories = [[json.loads(line) for line in path.read_text().splitlines()] for path in paths]
    plots = [run_plots.plot_folds(record)]
    if "bias" in record:
        plots.append(plot_bias(Bias.from_record(record["bias"])))
    if "test" in record:
        plots.append(run_plots.plot_fold_ensemble(record["test"]))
    plots.append(run_plots.plot_learning_curves(record, histories))
    if folder.ablation.is_file():
        plots += plot_comparison(read_ablation(folder.ablation))
    if folder.comparison.is_file():
        plots += plot_comparison(read_json(folder.comparison))
    task_weights = run_plots.plot_task_weights(histories, experiment.main_task.name)
    return plots if task_weights is None else [*plots, task_weights]


def _plot_every_label(tasks: TaskSet, record: dict[str, Any]) -> list[Plot]:
    """One plot per kind of task: a metric without units, column by column."""
    columns_of_metric: dict[str, dict[str, str]] = {}
    for task in tasks:
        has_columns = len(task.settings.label_columns) > 1
        metric = task.headline[0]
        for column in task.settings.label_columns:
            name = f"{task.name}/{metric}" + (f"/{column}" if has_columns else "")
            columns_of_metric.setdefault(metric, {})[column] = name
    plots = [
        run_plots.plot_label_scores(record, metric, columns)
        for metric, columns in columns_of_metric.items()
    ]
    return [plot for plot in plots if plot is not None]


def _plot_binary_labels(tasks: TaskSet, table: Table) -> list[Plot]:
    binary = [(task, columns) for task, columns in tasks.items() if task.has_positive_class]
    if not binary:
        return []
    names = [column for task, _ in binary for column in task.settings.label_columns]
    labels = np.concatenate([table.labels[:, columns] for _, columns in binary], axis=1)
    return [run_plots.plot_label_rates(names, labels)]


def _fold_rows(
    experiment: Experiment, tasks: TaskSet, table: Table, folds: np.ndarray
) -> list[dict[str, Any]]:
    """The rows of the table of folds: ``fold``, ``n_rows`` and ``summary`` by column heading."""
    rows = []
    for fold in experiment.folds.names:
        mask = folds == fold
        summary = tasks.label_summary(table.labels[mask])
        summary |= rows_per_source(experiment.data, table.sources_at(mask))
        rows.append({"fold": fold, "n_rows": int(mask.sum()), "summary": summary})
    return rows
