"""The cross-validated table as text, and the report as one HTML file without network."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader

from auxfold.data.table import Table
from auxfold.experiment import Experiment, to_toml
from auxfold.run_folder import RunFolder, read_json
from auxfold.scoring import plots
from auxfold.scoring.plots import Plot
from auxfold.tasks.metrics import higher_is_better


def cv_table(record: dict[str, Any]) -> str:
    """The scores per fold, their mean, spread and the out-of-fold score, as plain text."""
    header, rows = cv_rows(record)
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
        rows.append([name, *["–" if v is None else f"{v:.4f}" for v in values]])
    return header, rows


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
    environment = Environment(loader=PackageLoader("auxfold.scoring"), autoescape=True)
    return environment.get_template("report.html.j2").render(
        experiment=experiment,
        toml=to_toml(experiment),
        record=record,
        header=header,
        rows=rows,
        main=record["main"],
        arrow="higher is better" if higher_is_better(record["main"]) else "lower is better",
        balance=_balance(experiment, table, folds),
        plots=[plot for plot in _plots(experiment, record, table, folds, oof) if plot],
        hardest=hardest.to_dict("records"),
        id_column=experiment.data.id,
        run=read_json(RunFolder.of(experiment).fold(0).run),
    )


def _plots(
    experiment: Experiment,
    record: dict[str, Any],
    table: Table,
    folds: np.ndarray,
    oof: pd.DataFrame,
) -> list[Plot | None]:
    column = experiment.main_task.columns[0]
    labels = table.labels[:, experiment.label_columns.index(column)]
    scores = oof[column].to_numpy()
    paths = [RunFolder.of(experiment).fold(k).history for k in range(experiment.folds.n_splits)]
    histories = [[json.loads(line) for line in p.read_text().splitlines()] for p in paths]
    return [
        plots.plot_folds(record),
        plots.plot_learning(record, histories),
        plots.plot_curves(column, labels, scores, folds),
        plots.plot_reliability(column, labels, scores),
        plots.plot_columns(record, _auc_of_columns(experiment)),
        plots.plot_labels(experiment.label_columns, table.labels),
    ]


def _auc_of_columns(experiment: Experiment) -> dict[str, str]:
    """Label column to the name of its AUC in the record."""
    return {
        column: f"{task.name}/auc/{column}" if len(task.columns) > 1 else f"{task.name}/auc"
        for task in experiment.tasks
        for column in task.columns
    }


def _balance(experiment: Experiment, table: Table, folds: np.ndarray) -> list[dict[str, Any]]:
    return [
        {
            "fold": fold,
            "rows": int((folds == fold).sum()),
            "positive": [int(n) for n in np.nansum(table.labels[folds == fold] >= 0.5, axis=0)],
        }
        for fold in range(experiment.folds.n_splits)
    ]
