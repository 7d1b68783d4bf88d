"""The cross-validated table as text, and the report as one HTML file without network."""

from __future__ import annotations

import io
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader

from auxfold.data.table import Table
from auxfold.experiment import Experiment, to_toml
from auxfold.run_folder import RunFolder
from auxfold.tasks.metrics import higher_is_better

matplotlib.use("svg")
from matplotlib import pyplot as plt  # noqa: E402  (after the backend is chosen)


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
) -> str:
    """The report page: scores, curves of the main target, learning curves, fold balance."""
    header, rows = cv_rows(record)
    column = experiment.main_task.columns[0]
    labels = table.labels[:, experiment.label_columns.index(column)]
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
        plots=[
            ("Scores per fold", _plot_folds(record)),
            ("Learning curves", _plot_learning(experiment, record)),
            (f"Out-of-fold predictions of {column}", _plot_predictions(labels, oof[column])),
        ],
    )


def _balance(experiment: Experiment, table: Table, folds: np.ndarray) -> list[dict[str, Any]]:
    return [
        {
            "fold": fold,
            "rows": int((folds == fold).sum()),
            "positive": [int(n) for n in np.nansum(table.labels[folds == fold] >= 0.5, axis=0)],
        }
        for fold in range(experiment.folds.n_splits)
    ]


def _plot_folds(record: dict[str, Any]) -> str:
    values = [fold[record["main"]] for fold in record["folds"]]
    figure, axes = plt.subplots(figsize=(6, 3))
    axes.plot(range(len(values)), values, "o", color="#3b7dd8")
    axes.axhline(record["oof"][record["main"]], color="#888", linestyle="--", label="OOF")
    axes.set(xlabel="fold", ylabel=record["main"], xticks=range(len(values)))
    axes.legend(frameon=False)
    return _svg(figure)


def _plot_learning(experiment: Experiment, record: dict[str, Any]) -> str:
    figure, axes = plt.subplots(figsize=(6, 3))
    for fold in range(experiment.folds.n_splits):
        path = RunFolder.of(experiment).fold(fold).history
        history = pd.read_json(path, lines=True)
        values = [metrics[record["main"]] for metrics in history["metrics"]]
        axes.plot(history["epoch"], values, marker="o", markersize=3, label=f"fold {fold}")
    axes.set(xlabel="epoch", ylabel=record["main"])
    axes.legend(frameon=False, fontsize=8)
    return _svg(figure)


def _plot_predictions(labels: np.ndarray, predictions: pd.Series) -> str:
    figure, axes = plt.subplots(figsize=(6, 3))
    bins = np.linspace(0, 1, 41)
    for name, rows in (("label < 0.5", labels < 0.5), ("label ≥ 0.5", labels >= 0.5)):
        axes.hist(predictions[rows], bins=bins, alpha=0.6, label=name, log=True)
    axes.set(xlabel="prediction", ylabel="rows (log)")
    axes.legend(frameon=False)
    return _svg(figure)


def _svg(figure: Any) -> str:
    figure.patch.set_alpha(0.0)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight")
    plt.close(figure)
    text = buffer.getvalue()
    return text[text.index("<svg") :]
