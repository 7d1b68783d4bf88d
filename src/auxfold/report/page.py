"""The report of a run: one HTML file that needs no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader

from auxfold.config.experiment import Experiment, to_toml
from auxfold.config.folds import DATA_SPLIT
from auxfold.data.table import Table
from auxfold.errors import InputError
from auxfold.evaluation.ablation import read_ablation
from auxfold.evaluation.data_summary import DataSummary, read_data_summary
from auxfold.fairness.jigsaw_bias import Bias
from auxfold.report import run_plots
from auxfold.report.bias_plot import plot_bias
from auxfold.report.class_tables import class_tables
from auxfold.report.comparison_plot import plot_comparison
from auxfold.report.curve_plots import plot_curves, plot_label_curves
from auxfold.report.data_section import data_facts, plot_lengths
from auxfold.report.fold_table import fold_table
from auxfold.report.headline import headline
from auxfold.report.main_task_plots import plot_main_task
from auxfold.report.plot import Plot
from auxfold.report.score_tables import label_scores, score_rows
from auxfold.report.tables import describe_calibration, describe_thresholds
from auxfold.storage.checksums import check_file, read_json_checked
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import TaskSet


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
    environment = Environment(loader=PackageLoader("auxfold.report"), autoescape=True)
    score_header, scores = score_rows(tasks, record)
    summary = read_data_summary(experiment)
    of_folds = fold_table(experiment, tasks, table, folds)
    page = environment.get_template("report.html.j2").render(
        experiment=experiment,
        toml=to_toml(experiment),
        record=record,
        folds=describe_folds(experiment),
        figures=headline(record),
        notes=_notes(record, summary),
        tasks=tasks.names,
        main_task=tasks.main.name,
        score_header=score_header,
        score_rows=scores,
        label_scores=label_scores(tasks, record),
        lines=_lines(tasks, record),
        class_tables=class_tables(tasks, table.labels, oof, record),
        plots=[
            *_score_plots(experiment, record),
            *_task_plots(tasks, record, table, folds, oof),
            *_training_plots(experiment, record),
        ],
        facts=[] if summary is None else data_facts(summary),
        data_plots=_data_plots(tasks, table, summary),
        fold_table=of_folds,
        fold_header=[*of_folds.header, "rows/s", "training"],
        fold_rows=[
            [*row, str(run["rows_per_second"]), f"{run['seconds']:.0f} s"]
            for row, run in zip(of_folds.rows, record["training"], strict=True)
        ],
        hardest=hardest.to_dict("records"),
        id_column=experiment.data.id_column,
        run=RunFolder.of(experiment).fold(experiment.folds.names[0]).read_run(),
    )
    return page.lstrip()  # the macros leave empty lines


def describe_folds(experiment: Experiment) -> str:
    """``5 folds``, or what is held out instead."""
    validation = experiment.folds.validation
    if validation is None:
        return f"{experiment.folds.n_splits} folds"
    if validation == DATA_SPLIT:
        return f"validated on the dev rows by {experiment.data.split!r}"
    return f"validated on {validation}" + (" rows" if isinstance(validation, int) else "")


def _notes(record: dict[str, Any], summary: DataSummary | None) -> list[str]:
    """What a reader of the scores should know first."""
    return [*record.get("notes", []), *(summary.warnings() if summary else [])]


def _lines(tasks: TaskSet, record: dict[str, Any]) -> list[tuple[str, str]]:
    """What thresholds and calibration bring: the name of the task, and the sentence."""
    task_of = {c: t.name for t in tasks for c in (t.name, *t.settings.targets)}
    lines = [*describe_thresholds(record), *describe_calibration(record)]
    # A line starts with the task, or with the label and a rule.
    return [(task_of.get(line.split(": ")[0].split(", ")[0], ""), line) for line in lines]


def _score_plots(experiment: Experiment, record: dict[str, Any]) -> list[Plot]:
    """The plots of scores: by fold, on test rows, by identity, of variants."""
    folder = RunFolder.of(experiment)
    plots = [run_plots.plot_folds(record)]
    if "test" in record:
        plots.append(run_plots.plot_fold_ensemble(record["test"]))
    if "bias" in record:
        plots.append(plot_bias(Bias.from_record(record["bias"])))
    if folder.ablation.is_file():
        plots += plot_comparison(read_ablation(folder.ablation))
    if folder.comparison.is_file():
        plots += plot_comparison(read_json_checked(folder.comparison))
    return [plot for plot in plots if plot is not None]


def _task_plots(
    tasks: TaskSet, record: dict[str, Any], table: Table, folds: np.ndarray, oof: pd.DataFrame
) -> list[Plot]:
    """The plots of predictions: of the main task by its kind, and of the labels of every task."""
    plots: list[Plot | None] = []
    for task, columns in tasks.items():
        labels, predictions = table.labels[:, columns], oof[task.prediction_columns].to_numpy()
        names = task.settings.targets
        if task.name == tasks.main.name:
            plots += plot_main_task(task, labels, predictions, folds, record["calibration"])
        elif task.has_positive_class and len(names) == 1:
            plots.append(plot_curves(names[0], labels[:, 0], predictions[:, 0], folds, task.name))
        if task.has_positive_class:
            plots.append(plot_label_curves(task.name, names, labels, predictions))
        plots.append(run_plots.plot_label_scores(record, task.name, task.headline[0], names))
    return [plot for plot in plots if plot is not None]


def _training_plots(experiment: Experiment, record: dict[str, Any]) -> list[Plot]:
    """The plots of the folds' histories."""
    folder = RunFolder.of(experiment)
    paths = [folder.fold(fold).history for fold in experiment.folds.names]
    histories = [_read_history(path) for path in paths]
    task_weights = run_plots.plot_task_weights(histories, experiment.main_task.name)
    curves = run_plots.plot_learning_curves(record, histories)
    return [curves] if task_weights is None else [curves, task_weights]


def _read_history(path: Path) -> list[dict[str, Any]]:
    """The records of a history.

    Raises:
        InputError: it is damaged.
    """
    check_file(path)
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:  # in a folder without checksums
        raise InputError(f"{path} is damaged ({error}); train the fold again") from None


def _data_plots(tasks: TaskSet, table: Table, summary: DataSummary | None) -> list[Plot]:
    """The plots of rows: lengths, and how frequent the labels are."""
    plots = [plot_lengths(summary.tokens)] if summary and summary.tokens else []
    plots += [
        run_plots.plot_label_rates(task.name, task.settings.label_columns, table.labels[:, columns])
        for task, columns in tasks.items()
        if task.has_positive_class
    ]
    return [plot for plot in plots if plot is not None]
