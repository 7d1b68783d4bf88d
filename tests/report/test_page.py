"""The report is one page that needs no other file, has every score, and hides offensive texts."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from auxfold.config.experiment import Experiment
from auxfold.evaluation.cross_validation import cross_validate, worst_errors
from auxfold.report.main_task_plots import plot_curves
from auxfold.report.page import render_report
from auxfold.report.plot import INK
from auxfold.tasks import TaskSet
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from conftest import make_experiment, make_frame

SHOUT = "<script>alert('goose')</script> & friends"


class Page(HTMLParser):
    """Tags with their attributes, and the texts inside and outside of ``<details>``."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.hidden, self.visible, self.depth = "", "", 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.depth += tag == "details"

    def handle_endtag(self, tag):
        self.depth -= tag == "details"

    def handle_data(self, data):
        if self.depth:
            self.hidden += data
        else:
            self.visible += data


@pytest.fixture(scope="module")
def report(tmp_path_factory, backbone) -> tuple[Experiment, dict, Path]:
    """The experiment, its cross-validated scores and its report page."""
    folder = tmp_path_factory.mktemp("report")
    frame = make_frame(80)
    frame.loc[3, "text"] = SHOUT
    frame.loc[3, "toxic"] = 1.0
    frame.to_csv(folder / "train.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        experiment = make_experiment("train.csv", backbone)
        table, folds = create_folds(experiment)
        for fold in (0, 1):
            train_fold(experiment, fold)
        tasks = TaskSet.from_experiment(experiment)
        record, oof = cross_validate(experiment, tasks, table, folds)
        errors = worst_errors(tasks, table, folds, oof, experiment.data.id_column)
        page = render_report(experiment, tasks, record, table, folds, oof, errors)
        (folder / "report.html").write_text(page, encoding="utf-8")
    return experiment, record, folder / "report.html"


def test_every_score_is_in_the_table(report):
    _, record, path = report
    page = Page(path.read_text(encoding="utf-8"))
    for name, value in record["oof"].items():
        text = page.hidden if name.count("/") == 2 else page.visible  # single labels on demand
        assert name in text and f"{value:.4f}" in text
    assert f"{record['mean']['main/auc']:.4f} ± {record['std']['main/auc']:.4f}" in page.visible
    assert "learning_rate = 0.001" in page.visible and "torch 2" in page.visible


def test_every_plot_has_axes_with_names_and_a_sentence(report):
    _, record, path = report
    page = Page(path.read_text(encoding="utf-8"))
    figures = [attributes for tag, attributes in page.tags if tag == "figure"]
    assert len(figures) == 7
    assert all(len(figure["aria-label"]) > 30 for figure in figures)
    descriptions = " ".join(figure["aria-label"] for figure in figures)
    assert "Weight per task at the end: main 1.000, aux 0.500; cosine to main: aux " in descriptions
    assert f"ROC curve of toxic with area {record['oof']['main/auc']:.4f}" in descriptions


def test_texts_are_escaped_and_hidden(report):
    page = Page(report[2].read_text(encoding="utf-8"))
    assert SHOUT in page.hidden and "goose" not in page.visible
    assert not any(tag == "script" for tag, _ in page.tags)


def test_nothing_is_fetched(report):
    text = report[2].read_text(encoding="utf-8")
    addresses = set(re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", text))
    assert all(address.startswith(("#", "data:")) for address in addresses), addresses


def test_the_page_opens_without_an_error_in_a_browser(report, tmp_path):
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
               f"--user-data-dir={tmp_path}", "--host-resolver-rules=MAP * ~NOTFOUND",
               "--dump-dom", f"file://{report[2]}"]  # fmt: skip
    process = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "Hardest rows" in process.stdout
    assert "CONSOLE" not in process.stderr and "ERR_" not in process.stderr


def test_an_equal_plot_is_an_equal_file():
    labels = np.array([0.0, 1, 1, 0, 1])
    scores = np.array([0.1, 0.9, 0.4, 0.6, 1.0])
    folds = np.array([0, 0, 1, 1, 1])
    first, second = (plot_curves("toxic", labels, scores, folds) for _ in range(2))
    assert first == second and "currentColor" in first.svg and INK not in first.svg
    # By hand: of 3 positives and 2 negatives, five of the six pairs are in order.
    assert "area 0.8333" in first.alt
    assert plot_curves("toxic", np.zeros(5), scores, folds) is None
