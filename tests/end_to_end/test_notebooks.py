"""The notebooks run from top to bottom, show numbers and plots, and are kept without outputs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

from auxfold.config.experiment import to_toml
from auxfold.datasets.sample import build_sample, write_sample
from auxfold.evaluation.cross_validation import cross_validate
from auxfold.storage.atomic import write_frame, write_json
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import TaskSet
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from conftest import make_experiment

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def execute(name: str, folder: Path, monkeypatch, **environment: str) -> list:
    """The outputs of every code cell."""
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("PYTHONPATH", ":".join(path for path in sys.path if path))
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}})
    client.execute()
    return [cell["outputs"] for cell in notebook.cells if cell["cell_type"] == "code"]


def texts(outputs: list) -> str:
    """What is printed and shown as text."""
    plain = [o["text"] if o["output_type"] == "stream" else o["data"].get("text/plain", "")
             for cell in outputs for o in cell]  # fmt: skip
    return "\n".join(plain)


def pictures(outputs: list) -> int:
    return sum("image/png" in o.get("data", {}) for cell in outputs for o in cell)


@pytest.fixture
def sample(work_dir, backbone, monkeypatch):
    """A generated sample of 300 rows and an experiment on it."""
    write_sample(work_dir / "input/sample", build_sample(rows=300, test_rows=20, seed=3))
    tasks = [
        {"name": "main", "kind": "binary", "columns": ["target"], "main": True},
        {"name": "aux", "kind": "binary", "columns": ["insult", "severe_toxicity", "muslim"]},
    ]
    data = {"train": "input/sample/train.csv", "text": "comment_text"}
    experiment = make_experiment("", backbone, data=data, tasks=tasks)
    (work_dir / "configs").mkdir()
    (work_dir / "configs/e.toml").write_text(to_toml(experiment))
    return experiment


def test_explore(work_dir, sample, monkeypatch):
    outputs = execute("explore.ipynb", work_dir, monkeypatch, AUXFOLD_CONFIG="configs/e.toml")
    output = texts(outputs)
    frame = pd.read_csv("input/sample/train.csv")
    assert "300 rows of input/sample/train.csv" in output
    positive = int((frame["target"] >= 0.5).sum())
    assert f"target {positive} " in " ".join(output.split())
    assert f"{frame['muslim'].isna().mean():.4f}".rstrip("0") in output
    assert "units of several rows" in output and "longer than 24 tokens" in output
    assert "homosexual_gay_or_lesbian" in output, "the table of identities"
    assert pictures(outputs) == 3
    assert not any(text in output for text in frame["comment_text"].dropna() if len(text) > 30)


def test_results(work_dir, backbone, monkeypatch):
    for name, epochs in (("one", 1), ("two", 2)):
        experiment = make_experiment("train.csv", backbone, name=name, train={"epochs": epochs})
        table, folds = create_folds(experiment)
        for fold in (0, 1):
            train_fold(experiment, fold)
        tasks = TaskSet.from_experiment(experiment)
        record, oof = cross_validate(experiment, tasks, table, folds)
        write_frame(RunFolder.of(experiment).oof, oof)
        write_json(RunFolder.of(experiment).cross_validation, record)
    (work_dir / "configs").mkdir()
    outputs = execute("results.ipynb", work_dir, monkeypatch)
    output = texts(outputs)
    assert "one, two" in output
    assert f"{record['oof']['main/auc']:.4f}".rstrip("0") in output
    assert pictures(outputs) == 2
    first = pd.read_parquet("outputs/one/oof.parquet").set_index("id")["toxic"]
    second = oof.set_index("id")["toxic"]
    assert f"{first.corr(second, method='spearman'):.4f}".rstrip("0") in output


def test_notebooks_are_committed_without_outputs():
    paths = sorted(NOTEBOOKS.glob("*.ipynb"))
    assert len(paths) == 4
    for path in paths:
        cells = json.loads(path.read_text())["cells"]
        assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in cells)
