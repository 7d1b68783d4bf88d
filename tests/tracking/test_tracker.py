"""Tracking writes an offline run per fold, and a failing W&B stops nothing."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from wandb.proto import wandb_internal_pb2

from auxfold.config.experiment import load_experiment, to_toml
from auxfold.tracking.tracker import Tracker, project_name
from auxfold.training.fold import train_fold
from auxfold.training.loop import StepTrainer
from auxfold.training.split import create_folds
from conftest import make_experiment, make_frame
from forked import run_forked

SCRIPTS = Path(__file__).parents[2] / "scripts"


def read_run(path: Path) -> list[wandb_internal_pb2.Record]:
    """The records of a ``.wandb`` file: wandb's messages in LevelDB's log format."""
    data, offset, parts, records = path.read_bytes(), 7, b"", []
    while offset + 7 <= len(data):
        left = 32768 - offset % 32768
        if left < 7:
            offset += left
            continue
        _, size, kind = struct.unpack("<IHB", data[offset : offset + 7])
        parts += data[offset + 7 : offset + 7 + size]
        offset += 7 + size
        if kind in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            records.append(record)
            parts = b""
    return records


class Run:
    """The content of one offline run."""

    def __init__(self, path: Path) -> None:
        self.about, self.config, self.summary = None, {}, {}
        self.points: list[dict] = []
        self.artifacts: list[str] = []
        self.exit_code = None
        for record in read_run(path):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                self.about = self.about or record.run
                self._update(self.config, record.run.config.update)
            elif kind == "history":
                self.points.append({})
                self._update(self.points[-1], record.history.item)
            elif kind == "summary":
                self._update(self.summary, record.summary.update)
            elif kind == "artifact":
                self.artifacts.append(record.artifact.name)
            elif kind == "request" and record.request.WhichOneof("request_type") == "log_artifact":
                self.artifacts.append(record.request.log_artifact.artifact.name)
            elif kind == "exit":
                self.exit_code = record.exit.exit_code

    @staticmethod
    def _update(target: dict, items) -> None:
        for item in items:
            *parents, last = list(item.nested_key) or [item.key]
            inner = target
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[last] = json.loads(item.value_json)

    def curve(self, name: str) -> list[float]:
        return [point[name] for point in self.points if name in point]


def runs_in(folder: Path) -> dict[str, list[Run]]:
    """Runs by name, in the order in which they were started."""
    runs_by_name: dict[str, list[Run]] = {}
    paths = list(folder.glob("wandb/offline-run-*/run-*.wandb"))
    for _ in range(100):  # wandb's own process may still be writing
        runs = [Run(path) for path in paths]
        if all(run.exit_code is not None for run in runs):
            break
        time.sleep(0.2)
    for run in sorted(runs, key=lambda run: run.about.start_time.ToNanoseconds()):
        runs_by_name.setdefault(run.about.display_name, []).append(run)
    return runs_by_name


def call(name: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, str(SCRIPTS / f"{name}.py"), "--config", "e.toml", *arguments]
    process = run_forked(command, cwd)
    assert process.returncode == 0, process.stderr
    return process


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory, backbone) -> tuple[Path, dict[str, list[Run]], list[str]]:
    """All commands, tracked offline: their folder, their runs, and what they printed to stderr."""
    folder = tmp_path_factory.mktemp("tracking")
    (folder / "input/some-competition").mkdir(parents=True)
    data = {key: f"input/some-competition/{key}.csv" for key in ("train", "test")}
    make_frame().to_csv(folder / data["train"], index=False)
    make_frame(10, seed=2)[["id", "text"]].to_csv(folder / data["test"], index=False)
    experiment = make_experiment(
        "", backbone, data=data, tracking={"wandb": "offline", "log_every": 2}
    )
    (folder / "e.toml").write_text(to_toml(experiment))
    commands = [["make_folds"], ["train", "--fold", "all"]]
    errors = [call(*command, cwd=folder).stderr for command in commands]
    evaluation = call("evaluate", "--json", cwd=folder)
    json.loads(evaluation.stdout)  # one JSON object and nothing else
    errors += [evaluation.stderr, call("inference", cwd=folder).stderr]
    return folder, runs_in(folder / "outputs/tiny"), errors


def test_each_fold_is_a_run_of_its_own_in_the_group_of_the_experiment(pipeline):
    _, runs, _ = pipeline
    assert set(runs) == {"tiny-fold0", "tiny-fold1", "tiny-cv", "tiny-inference"}
    assert all(len(same_name) == 1 for same_name in runs.values())
    jobs = {name: same_name[0].about.job_type for name, same_name in runs.items()}
    assert jobs == {"tiny-fold0": "train", "tiny-fold1": "train", "tiny-cv": "evaluate",
                    "tiny-inference": "inference"}  # fmt: skip
    for (run,) in runs.values():
        assert run.about.project == "some-competition" and run.about.run_group == "tiny"
        assert run.exit_code == 0
    assert len({run.about.run_id for (run,) in runs.values()}) == 4


def test_the_configuration_is_the_experiment_without_dots(pipeline):
    run = pipeline[1]["tiny-fold1"][0]
    assert run.config["fold"] == 1 and run.config["device"] == "cpu"
    assert run.config["train"]["epochs"] == 2
    assert run.config["tasks"]["aux"]["weight"] == 0.5
    assert not any("." in key for key in run.config)


def test_curves_are_those_of_the_history(pipeline):
    folder, runs, _ = pipeline
    run = runs["tiny-fold0"][0]
    history = pd.read_json(folder / "outputs/tiny/fold_0/history.jsonl", lines=True)
    # 30 rows in steps of 8: four steps per epoch, a point after every second one.
    assert run.curve("learning_rate")[-1] == 0.0 and len(run.curve("learning_rate")) == 4
    for epoch, record in history.iterrows():
        for task, loss in record["train_loss"].items():
            window = run.curve(f"train/{task}")[2 * epoch : 2 * epoch + 2]
            assert sum(window) / 2 == pytest.approx(loss)
        norms = run.curve("gradient_norm")[2 * epoch : 2 * epoch + 2]
        assert sum(norms) / 2 == pytest.approx(record["gradient_norm"])
    scores = [metrics["main/auc"] for metrics in history["metrics"]]
    assert run.curve("valid/main/auc") == pytest.approx(scores)
    assert set(run.curve("weight/aux")) == {0.5}
    assert all(rate > 0 for rate in run.curve("rows_per_second"))
    assert [point["rows"] for point in run.points] == sorted(p["rows"] for p in run.points)


def test_summaries_hold_the_final_scores(pipeline):
    folder, runs, _ = pipeline
    metrics = json.loads((folder / "outputs/tiny/fold_0/metrics.json").read_text())
    assert runs["tiny-fold0"][0].summary["final/main/auc"] == metrics["main/auc"]
    scores = json.loads((folder / "outputs/tiny/cv.json").read_text())
    summary = runs["tiny-cv"][0].summary
    assert summary["oof/main/auc"] == scores["oof"]["main/auc"]
    assert summary["std/main/auc"] == scores["std"]["main/auc"]
    assert runs["tiny-inference"][0].summary["rows"] == 10


def worst_errors_in(folder: Path) -> pd.DataFrame:
    """The latest table of an offline run."""
    tables = folder.glob("outputs/tiny/wandb/*/files/media/table/worst_errors*.json")
    table = json.loads(max(tables, key=lambda path: path.stat().st_mtime).read_text())
    return pd.DataFrame(table["data"], columns=table["columns"])


def test_files_and_the_worst_errors(pipeline):
    folder, runs, _ = pipeline
    assert {"tiny-folds", "tiny-fold0-oof"} <= set(runs["tiny-fold0"][0].artifacts)
    assert "tiny-fold0" not in runs["tiny-fold0"][0].artifacts, "models only when asked for"
    assert "tiny-oof" in runs["tiny-cv"][0].artifacts
    errors = worst_errors_in(folder)
    gaps = (errors["label"] - errors["prediction"]).abs()
    assert len(errors) == 60 and gaps.is_monotonic_decreasing
    assert "text" not in errors


def test_texts_leave_the_machine_only_with_the_key(pipeline):
    """Nothing that W&B would upload, of any command, holds a text of the training file."""
    folder, _, _ = pipeline
    texts = [text for text in make_frame()["text"] if len(text.split()) > 3]
    errors = worst_errors_in(folder)

    def leaked() -> list[str]:
        paths = [p for p in folder.glob("outputs/tiny/wandb/*/**/*") if p.is_file()]
        contents = [path.read_bytes() for path in paths]
        assert len(contents) > 10
        return [text for text in texts if any(text.encode() in content for content in contents)]

    assert leaked() == []
    call("evaluate", "--no-baseline", "--set", "tracking.texts=true", cwd=folder)
    with_texts = worst_errors_in(folder)
    assert with_texts.drop(columns="text").equals(errors) and set(texts) == set(leaked())
    assert list(folder.glob("outputs/tiny/wandb/*/files/media/html/report*.html"))


def test_how_to_sync_is_printed_once(pipeline):
    assert (
        sum(text.count("wandb sync outputs/tiny/wandb/offline-run-*") for text in pipeline[2]) == 1
    )


def test_a_resumed_training_continues_its_run(work_dir, backbone, monkeypatch):
    experiment = make_experiment("train.csv", backbone, tracking={"wandb": "offline"})
    create_folds(experiment)
    steps, original = 0, StepTrainer.train_step

    def interrupt(self, indices):
        nonlocal steps
        steps += 1
        if steps == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, indices)

    monkeypatch.setattr(StepTrainer, "train_step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train_fold(experiment, 0)
    train_fold(experiment, 0, resume=True)
    train_fold(experiment, 0, overwrite=True)
    first, second, third = runs_in(work_dir / "outputs/tiny")["tiny-fold0"]
    assert first.exit_code == 1 and second.exit_code == 0
    assert first.about.run_id == second.about.run_id
    assert third.about.run_id != first.about.run_id, "a new training is a new run"


def test_models_are_uploaded_when_asked_for(work_dir, backbone):
    tracking = {"wandb": "offline", "upload_model": True, "project": "mine"}
    experiment = make_experiment("train.csv", backbone, tracking=tracking, train={"epochs": 1})
    create_folds(experiment)
    train_fold(experiment, 0)
    (run,) = runs_in(work_dir / "outputs/tiny")["tiny-fold0"]
    assert "tiny-fold0" in run.artifacts and run.about.project == "mine"


def test_a_missing_wandb_is_reported_once_and_training_continues(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "wandb", None)  # import wandb raises ImportError
    experiment = make_experiment("t", "b", tracking={"wandb": "online"})
    tracker = Tracker(experiment, "train", "fold0", tmp_path)
    tracker.log({"rows": 1})
    tracker.summary({"main/auc": 0.5})
    tracker.finish()
    assert capsys.readouterr().err.count("W&B is off for this run: ModuleNotFoundError") == 1


def test_a_wandb_that_breaks_on_the_way_stops_no_training(work_dir, backbone, monkeypatch, capsys):
    import wandb

    def fail(self, *arguments, **options):
        raise ConnectionError("no\nroute")

    monkeypatch.setattr(wandb.Run, "log", fail)
    experiment = make_experiment("train.csv", backbone, tracking={"wandb": "offline",
                                                                  "log_every": 1})  # fmt: skip
    create_folds(experiment)
    assert train_fold(experiment, 0).exists()
    assert capsys.readouterr().err.count("W&B is off for this run: ConnectionError: no route") == 1


def test_projects_are_named_after_the_competition():
    shipped = SCRIPTS.parent / "configs/jigsaw_2019.toml"
    assert project_name(load_experiment(shipped)) == (
        "jigsaw-unintended-bias-in-toxicity-classification"
    )


@pytest.mark.parametrize(
    ("mode", "setting", "expected"),
    [
        ("offline", "online", "W&B is offline because of WANDB_MODE=offline"),
        ("disabled", "online", "W&B is off because of WANDB_MODE=disabled"),
        ("of", "auto", "W&B is off because of WANDB_MODE=of, which is none of online, run"),
        ("disabled", "auto", ""),
        ("online", "off", ""),
    ],
)
def test_a_switch_that_overrules_the_settings_is_reported(
    monkeypatch, capsys, tmp_path, mode, setting, expected
):
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setenv("WANDB_MODE", mode)
    Tracker(make_experiment("t", "b", tracking={"wandb": setting}), "train", "fold0", tmp_path)
    first_line = capsys.readouterr().err.partition("\n")[0]
    assert first_line.startswith(expected) and bool(first_line) == bool(expected)


def test_the_address_of_an_online_run_is_printed(monkeypatch, capsys, tmp_path):
    """Without a server: ``wandb.init`` is replaced, and gets what keeps texts on the machine."""
    import wandb

    url = "https://wb.example.org/ada/p/runs/1"
    run = SimpleNamespace(url=url, define_metric=lambda *_, **__: None)
    calls = []
    monkeypatch.setattr(wandb, "init", lambda **options: calls.append(options) or run)
    monkeypatch.setenv("WANDB_MODE", "online")
    for texts in (False, True):
        experiment = make_experiment("t", "b", tracking={"wandb": "auto", "texts": texts})
        assert Tracker(experiment, "train", "fold0", tmp_path).run is run
    assert capsys.readouterr().err.splitlines() == [f"W&B: {url}"] * 2
    assert [call["mode"] for call in calls] == ["online", "online"]
    assert [call["settings"].disable_git for call in calls] == [True, False]
    assert calls[0]["settings"].save_code is False


def test_a_sweep_trial_trains_the_folds_and_reports_their_score(work_dir, backbone):
    """As the agent calls it, except for the server: the trial's parameters come from a file."""
    experiment = make_experiment("train.csv", backbone, tracking={"wandb": "offline"},
                                 train={"epochs": 1})  # fmt: skip
    (work_dir / "e.toml").write_text(to_toml(experiment))
    (work_dir / "config-defaults.yaml").write_text(
        "train:\n  value: {learning_rate: 0.01}\ntasks:\n  value: {aux: {weight: 0.0}}\n"
    )
    environment = {**os.environ, "WANDB_MODE": "offline", "WANDB_DIR": str(work_dir / "trial")}
    (work_dir / "trial").mkdir()
    command = [sys.executable, str(SCRIPTS / "sweep.py"), "--config", "e.toml"]
    process = run_forked(command, env=environment)
    assert process.returncode == 0, process.stderr
    (trial,) = [Run(path) for path in (work_dir / "trial").glob("wandb/offline-run-*/run-*.wandb")]
    (folder,) = (work_dir / "outputs").iterdir()
    assert folder.name == f"tiny-{trial.about.run_id}"
    trained = load_experiment(folder / "fold_1/experiment.toml")
    assert trained.train.learning_rate == 0.01 and trained.tasks[1].weight == 0.0
    scores = json.loads((folder / "cv.json").read_text())["oof"]
    assert trial.curve("oof/main/auc") == [pytest.approx(scores["main/auc"])]
    runs = runs_in(folder)
    assert {name.split("-")[-1] for name in runs} == {"fold0", "fold1", "cv"}
    assert trial.about.run_id not in {
        run.about.run_id for same_name in runs.values() for run in same_name
    }
