"""The report: one page that needs nothing else, says what was measured, hides offensive text."""

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
from auxfold.report import main_plots
from auxfold.report.page import render_report
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from conftest import make_experiment, make_frame

SHOUT = "<script>alert('goose')</script> & friends"


class Page(HTMLParser):
    """Tags with their attributes, and the text inside and outside of ``<details>``."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.hidden, self.shown, self.depth = "", "", 0
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
            self.shown += data


@pytest.fixture(scope="module")
def made(tmp_path_factory, backbone) -> tuple[Experiment, dict, Path]:
    place = tmp_path_factory.mktemp("report")
    frame = make_frame(80)
    frame.loc[3, "text"] = SHOUT
    frame.loc[3, "toxic"] = 1.0
    frame.to_csv(place / "train.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        experiment = make_experiment("train.csv", backbone)
        table, folds = create_folds(experiment)
        for fold in (0, 1):
            train_fold(experiment, fold)
        record, oof = cross_validate(experiment, table, folds)
        errors = worst_errors(experiment, table, folds, oof)
        page = render_report(experiment, record, table, folds, oof, errors)
        (place / "report.html").write_text(page, encoding="utf-8")
    return experiment, record, place / "report.html"


def test_every_score_is_in_the_table(made):
    _, record, path = made
    page = Page(path.read_text(encoding="utf-8"))
    for name, value in record["oof"].items():
        place = page.hidden if name.count("/") == 2 else page.shown  # single labels on demand
        assert name in place and f"{value:.4f}" in place
    assert f"{record['mean']['main/auc']:.4f} ± {record['std']['main/auc']:.4f}" in page.shown
    assert "learning_rate = 0.001" in page.shown and "torch 2" in page.shown


def test_every_plot_has_axes_with_names_and_a_sentence(made):
    _, record, path = made
    page = Page(path.read_text(encoding="utf-8"))
    figures = [attributes for tag, attributes in page.tags if tag == "figure"]
    assert len(figures) == 7
    assert all(len(figure["aria-label"]) > 30 for figure in figures)
    told = " ".join(figure["aria-label"] for figure in figures)
    assert "Weight per task at the end: main 1.000, aux 0.500; cosine to main: aux " in told
    assert f"ROC curve of toxic with area {record['oof']['main/auc']:.4f}" in told


def test_texts_are_escaped_and_hidden(made):
    page = Page(made[2].read_text(encoding="utf-8"))
    assert SHOUT in page.hidden and "goose" not in page.shown
    assert not any(tag == "script" for tag, _ in page.tags)


def test_nothing_is_fetched(made):
    text = made[2].read_text(encoding="utf-8")
    addresses = set(re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", text))
    assert all(address.startswith(("#", "data:")) for address in addresses), addresses


def test_the_page_opens_without_an_error_in_a_browser(made, tmp_path):
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
               f"--user-data-dir={tmp_path}", "--host-resolver-rules=MAP * ~NOTFOUND",
               "--dump-dom", f"file://{made[2]}"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "Hardest rows" in done.stdout
    assert "CONSOLE" not in done.stderr and "ERR_" not in done.stderr


def test_the_same_plot_is_the_same_file():
    labels = np.array([0.0, 1, 1, 0, 1])
    scores = np.array([0.1, 0.9, 0.4, 0.6, 1.0])
    folds = np.array([0, 0, 1, 1, 1])
    first, second = (main_plots.plot_curves("toxic", labels, scores, folds) for _ in range(2))
    assert first == second and "currentColor" in first.svg and main_plots.INK not in first.svg
    # By hand: of 3 positives and 2 negatives, five of the six pairs are in order.
    assert "area 0.8333" in first.alt
    assert main_plots.plot_curves("toxic", np.zeros(5), scores, folds) is None
