"""The report is one page that needs no other file, has every score, and hides offensive texts."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from auxfold.config.experiment import Experiment
from auxfold.errors import InputError
from auxfold.evaluation.cross_validation import cross_validate, worst_errors
from auxfold.evaluation.data_summary import write_data_summary
from auxfold.report.page import render_report
from auxfold.storage.checksums import CHECKSUMS
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import TaskSet
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from conftest import make_experiment, make_frame

SHOUT = "<script>alert('goose')</script> & friends"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)


class Page(HTMLParser):
    """Tags with their attributes, and the texts inside and outside of ``<details>``."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.hidden, self.visible, self.depth = "", "", 0
        self.tables: list[list[list[str]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.depth += tag == "details"
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        self.depth -= tag == "details"

    def handle_data(self, data):
        if self.depth:
            self.hidden += data
        else:
            self.visible += data
        if self.tables and self.tables[-1] and self.tables[-1][-1]:
            self.tables[-1][-1][-1] += data.strip("\n")

    def attributes(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


@dataclass
class Report:
    experiment: Experiment
    record: dict[str, Any]
    path: Path
    render: Any

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def report(tmp_path_factory, backbone) -> Report:
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
        tasks = TaskSet.from_experiment(experiment)
        write_data_summary(experiment, tasks, table, folds)
        for fold in (0, 1):
            train_fold(experiment, fold)
        record, oof = cross_validate(experiment, tasks, table, folds)
        errors = worst_errors(tasks, table, folds, oof, experiment.data.id_column)

        def render(**changes: Any) -> Page:
            with pytest.MonkeyPatch.context() as inner:
                inner.chdir(folder)
                changed = record | changes
                page = render_report(experiment, tasks, changed, table, folds, oof, errors)
            return Page(page)

        page = render_report(experiment, tasks, record, table, folds, oof, errors)
        (folder / "report.html").write_text(page, encoding="utf-8")
    return Report(experiment, record, folder / "report.html", render)


def test_every_score_is_in_the_table(report):
    page, record = Page(report.text), report.record
    for name, value in record["oof"].items():
        shown = "–" if value is None else f"{value:.4f}"
        assert shown in page.hidden + page.visible
        if name.count("/") == 1:
            assert name in page.hidden  # of all metrics
    mean, std = record["mean"]["main/auc"], record["std"]["main/auc"]
    assert f"{mean:.4f} ± {std:.4f}" in page.visible
    assert "main/log_loss" in page.visible and "main/brier" not in page.visible
    assert "learning_rate = 0.001" in page.visible and "torch 2" in page.visible


def test_every_plot_has_axes_with_names_and_a_sentence(report):
    page = Page(report.text)
    figures = page.attributes("figure")
    assert all(len(figure["aria-label"]) > 30 for figure in figures)
    descriptions = " ".join(figure["aria-label"] for figure in figures)
    assert "Weight per task at the end: main 1.000, aux 0.500; cosine of" in descriptions
    area = report.record["oof"]["main/auc"]
    assert f"ROC curve of toxic with area {area:.4f}" in descriptions
    assert "Tokens of a row: half of the rows have up to" in descriptions
    assert len(figures) == 9


def test_scores_of_the_baselines_and_of_test_rows_are_next_to_the_main_score(report):
    page = report.render(
        intervals={"main/auc": {"low": 0.4321, "high": 0.6543}},
        rank_within_folds={"main/auc": 0.5791},
        baselines={
            "rows": 50,
            "majority": {"main/auc": 0.5},
            "tfidf": {"main/auc": 0.7531},
            "gains": {
                "main/auc": {
                    "tfidf": {"gain": -0.0123, "low": -0.0345, "high": 0.0101},
                    "majority": {"gain": 0.2408, "low": 0.2001, "high": 0.2802},
                }
            },
        },
        notes=["main/auc is no better than TF-IDF with linear models"],
        test={
            "metric": "main/auc",
            "rows": 1234,
            "scores": {"1": [0.8111, 0.8222], "2": [0.8333]},
        },
    )
    for text in (
        "95 % interval 0.4321–0.6543",
        "0.5791",
        "0.8333main/auc on 1,234 test rowsensemble of 2 folds; single folds 0.8111 to 0.8222",
        "the run is no better (-0.0123, 95 % interval -0.0345 to +0.0101), on 50 of the rows",
        "the run is better (+0.2408, 95 % interval +0.2001 to +0.2802), on 50 of the rows",
        "main/auc is no better than TF-IDF with linear models",
    ):
        assert text in page.visible
    header, first = page.tables[0][:2]
    assert header == ["metric", "OOF", "95 % interval", "mean ± std", "fold ranks",
                      "TF-IDF", "majority", "fold 0", "fold 1"]  # fmt: skip
    assert (first[0], first[2], first[5]) == ("main/auc", "0.4321–0.6543", "0.7531")


def test_rows_lengths_and_duplicates_are_in_the_data_section(report):
    page = Page(report.text)
    facts = {row[0]: row[1] for table in page.tables for row in table if len(row) == 2}
    assert facts["rows"] == "80" and facts["file"] == "train.csv"
    assert "rows that repeat the text of an earlier row" in facts
    assert facts["rows cut at model.max_length = 24"].endswith("%")
    assert facts["tokens that the backbone does not know"].endswith("%")


def test_without_a_summary_of_the_rows_the_page_says_how_to_get_it(report):
    path = report.path.parent / RunFolder.of(report.experiment).data_summary
    content = path.read_text()
    path.unlink()
    try:
        assert "The rows were not counted when the folds were made" in report.render().visible
    finally:
        path.write_text(content)


def test_a_single_evaluation_is_a_sentence_instead_of_dots(report):
    folds = [report.path.parent / RunFolder.of(report.experiment).fold(k).path for k in (0, 1)]
    paths = [fold / name for fold in folds for name in ("history.jsonl", CHECKSUMS)]
    contents = [path.read_text() for path in paths]
    try:
        for fold in folds:
            history = fold / "history.jsonl"
            history.write_text(history.read_text().splitlines()[-1] + "\n")
            (fold / CHECKSUMS).unlink()  # so that the change is accepted
        page = report.render()
    finally:
        for path, content in zip(paths, contents, strict=True):
            path.write_text(content)
    assert "Every fold was evaluated once, so there is no curve" in page.visible
    assert "Weight per task at the end: main 1.000, aux 0.500" in page.visible
    assert len(page.attributes("figure")) == 7


def test_a_damaged_history_is_refused_by_name(report):
    fold = report.path.parent / RunFolder.of(report.experiment).fold(1).path
    paths = [fold / name for name in ("history.jsonl", CHECKSUMS)]
    contents = [path.read_text() for path in paths]
    try:
        paths[0].write_text(contents[0][:-9])
        with pytest.raises(InputError, match="fold_1/history.jsonl is cut off"):
            report.render()
        paths[1].unlink()
        with pytest.raises(InputError, match=r"fold_1/history.jsonl is damaged \("):
            report.render()
    finally:
        for path, content in zip(paths, contents, strict=True):
            path.write_text(content)


def test_texts_are_escaped_and_hidden(report):
    page = Page(report.text)
    assert SHOUT in page.hidden and "goose" not in page.visible
    scripts = re.findall(r"<script.*?</script>", report.text, re.DOTALL)
    assert len(scripts) == 1 and "alert" not in scripts[0]  # that of the page


def test_nothing_is_fetched(report):
    addresses = set(re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", report.text))
    assert all(address.startswith(("#", "data:")) for address in addresses), addresses


def test_no_two_plots_share_an_id(report):
    ids = re.findall(r' id="([^"]+)"', report.text)
    assert len(ids) == len(set(ids))


def test_the_controls_are_hidden_without_their_script(report):
    page = Page(report.text)
    (controls,) = [a for tag, a in page.tags if a.get("id") == "controls"]
    assert "hidden" in controls
    assert {a["data-task"] for _, a in page.tags if "data-task" in a} == {"main", "aux"}


def browse(path: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
               f"--user-data-dir={folder}", "--host-resolver-rules=MAP * ~NOTFOUND", *options,
               "--dump-dom", f"file://{path}"]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


# Uses the page as a reader does, and writes what it sees into the title.
PROBE = """<script>{
const state = { window: innerWidth, page: document.documentElement.scrollWidth };
const texts = document.getElementById("show-texts");
const filter = document.getElementById("task-filter");
const open = () => document.querySelectorAll("details.text[open]").length;
const visible = (task) => [...document.querySelectorAll(`[data-task="${task}"]`)]
  .filter((element) => !element.hidden).length;
state.closed = open(); texts.click(); state.open = open(); texts.click(); state.again = open();
filter.value = "aux"; filter.dispatchEvent(new Event("change"));
state.main = visible("main"); state.aux = visible("aux") > 0;
document.title = JSON.stringify(state);
}</script></body>"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_switch_filter_and_phone_width_in_a_browser(report, tmp_path):
    path = tmp_path / "probe.html"
    path.write_text(report.text.replace("</body>", PROBE), encoding="utf-8")
    process = browse(path, tmp_path / "profile", "--window-size=390,900")
    assert "Hardest rows" in process.stdout
    assert "CONSOLE" not in process.stderr and "ERR_" not in process.stderr
    state = json.loads(re.search(r"<title>(.*?)</title>", process.stdout)[1])
    assert state.pop("page") <= state.pop("window") <= 500  # only tables in their boxes are wider
    assert state == {"closed": 0, "open": 80, "again": 0, "main": 0, "aux": True}
