"""Damaged files of a trained fold are refused by name, and a full disk costs no state."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import auxfold
from auxfold.config.experiment import Experiment, load_experiment, to_toml
from auxfold.errors import InputError
from auxfold.evaluation.comparison import collect_comparison
from auxfold.evaluation.cross_validation import cross_validate
from auxfold.report import page
from auxfold.storage.checksums import CHECKSUMS, read_checksums
from auxfold.storage.run_folder import RunFolder
from auxfold.tasks import TaskSet
from auxfold.training import fold_trainer
from auxfold.training.fold import train_fold
from auxfold.training.fold_trainer import FoldTrainer
from auxfold.training.split import create_folds
from child_processes import fork, wait
from conftest import load_history, load_tensors, make_experiment, make_frame

FOLD = Path("outputs/tiny/fold_0")
SHORT = {"epochs": 1, "batch_size": 16}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, backbone: str) -> Path:
    """A folder with two trained folds."""
    folder = tmp_path_factory.mktemp("trained")
    before = os.getcwd()
    os.chdir(folder)
    try:
        make_frame().to_csv("train.csv", index=False)
        experiment = make_experiment("train.csv", backbone, train=SHORT)
        Path("e.toml").write_text(to_toml(experiment))
        create_folds(experiment)
        train_fold(experiment, 0)
        train_fold(experiment, 1)
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def in_trained(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)


def predict() -> object:
    return auxfold.load("outputs/tiny", folds=[0]).predict(["the goose is silly"])


def evaluate() -> dict[str, Any]:
    experiment = load_experiment("e.toml")
    tasks = TaskSet.from_experiment(experiment)
    return cross_validate(experiment, tasks, *create_folds(experiment))[0]


def plot() -> object:
    return page._training_plots(load_experiment("e.toml"), evaluate())


def compare() -> object:
    fold_of = lambda variant, seed, fold: RunFolder(Path("outputs/tiny")).fold(fold)  # noqa: E731
    return collect_comparison(["a", "b"], "a", ["main/auc"], [(0, 0), (0, 1)], fold_of)


READERS: dict[str, Callable[[], object]] = {
    "model.safetensors": predict,
    "config.json": predict,
    "tokenizer.json": predict,
    "tokenizer_config.json": predict,
    "experiment.toml": predict,
    "run.json": predict,
    "oof.parquet": evaluate,
    "history.jsonl": plot,
    "metrics.json": compare,
}


def flip_a_bit(content: bytes) -> bytes:
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    return bytes(flipped)


def test_every_file_but_the_model_card_has_a_checksum(in_trained):
    files = {path.name for path in FOLD.iterdir()}
    assert set(read_checksums(FOLD)) == files - {CHECKSUMS, "README.md"}
    assert set(READERS) <= files, "each of these is read below"


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_refused_by_name(in_trained, name):
    path, read = FOLD / name, READERS[name]
    content = path.read_bytes()
    other = (path.parent.with_name("fold_1") / name).read_bytes()
    damages = [
        (content[: len(content) // 2], "is cut off"),
        (b"", "is empty"),
        (flip_a_bit(content), "was changed since it was written"),
        (None, "is missing"),
    ]
    if other != content:  # of the other fold; a smaller one looks cut off
        damages.append((other, "(was changed|is cut off)"))
    try:
        for damaged, problem in damages:
            path.unlink(missing_ok=True)
            if damaged is not None:
                path.write_bytes(damaged)
            if name == "run.json" and damaged is None:
                problem = "fold 0 not trained yet"  # without it there is no fold
            with pytest.raises(InputError, match=problem) as refusal:
                read()
            assert name in str(refusal.value) or name == "run.json"
    finally:
        path.write_bytes(content)
    read()


def test_a_fold_without_checksums_is_read_unchecked(in_trained):
    content = (FOLD / CHECKSUMS).read_bytes()
    expected = predict()
    (FOLD / CHECKSUMS).unlink()
    try:
        assert predict().equals(expected)
    finally:
        (FOLD / CHECKSUMS).write_bytes(content)


def train_until_the_disk_is_full(
    experiment: Experiment, module: object, name: str, n_calls: int
) -> None:
    """Train, and let no file grow from the ``n_calls``-th call of a function on."""
    calls, function = [], getattr(module, name)

    def limit(*args: object, **kwargs: object) -> object:
        calls.append(name)
        if len(calls) == n_calls:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
        return function(*args, **kwargs)

    setattr(module, name, limit)
    with pytest.raises(InputError) as refusal:
        train_fold(experiment, 0)
    Path("refusal.txt").write_text(str(refusal.value))


@pytest.mark.parametrize(
    ("module", "name", "n_calls", "file"),
    [
        (fold_trainer, "save_state", 2, "fold_0.partial/state"),
        (FoldTrainer, "keep_weights", 1, "fold_0.partial/kept_"),
        (fold_trainer, "write_fold", 1, "fold_0.partial"),
    ],
)
def test_a_full_disk_ends_in_one_line_and_the_training_resumes(
    work_dir, backbone, module, name, n_calls, file
):
    changes = {**SHORT, "checkpoint_minutes": 0.0001}
    experiment = make_experiment("train.csv", backbone, train=changes)
    whole = make_experiment("train.csv", backbone, name="whole", train=changes)
    create_folds(experiment)
    create_folds(whole)
    run = partial(train_until_the_disk_is_full, experiment, module, name, n_calls)
    assert wait(fork(run)) == 0
    message = Path("refusal.txt").read_text()
    assert message.startswith(f"outputs/tiny/{file}") and "\n" not in message
    assert "cannot be written: file too large; it needs " in message
    assert not list(Path("outputs/tiny").rglob(".auxfold-*")), "nothing half-written stays"
    resumed, undisturbed = train_fold(experiment, 0, resume=True), train_fold(whole, 0)
    tensors, expected = load_tensors(resumed.path), load_tensors(undisturbed.path)
    assert all(tensors[key].equal(expected[key]) for key in expected)
    assert json.loads(resumed.metrics.read_text()) == json.loads(undisturbed.metrics.read_text())
    assert len(load_history(resumed)) == len(load_history(undisturbed))
