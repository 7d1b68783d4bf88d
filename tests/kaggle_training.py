"""A small competition whose folds are trained in a kernel, laid out as Kaggle mounts it."""

from __future__ import annotations

import importlib.metadata
import shutil
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from auxfold.config.experiment import Experiment, to_toml
from auxfold.kaggle import training_processes
from auxfold.kaggle.names import KaggleNames
from auxfold.kaggle.training_bundle import write_training_bundle
from auxfold.kaggle.training_plan import TrainingPlan
from conftest import make_experiment, make_frame
from forked import ForkedProcess

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "notebooks/kaggle_training.ipynb"
COMPETITION = "tiny-comments"
NAMES = KaggleNames("ada", "auxfold tiny training", COMPETITION, purpose="kernel")
N_TEST_ROWS = 31


def make_competition(folder: Path, backbone: str, **changes: object) -> Experiment:
    """The files of a competition below ``folder``, and an experiment on them in ``e.toml``."""
    data = folder / "input" / COMPETITION
    data.mkdir(parents=True)
    make_frame(120).to_csv(data / "train.csv", index=False)
    test = make_frame(N_TEST_ROWS, seed=5)[["id", "text"]]
    test.to_csv(data / "test.csv", index=False)
    sample = pd.DataFrame({"id": sorted(test["id"]), "prediction": 0.0})
    sample.to_csv(data / "sample_submission.csv", index=False)
    files = {key: f"input/{COMPETITION}/{key}.csv" for key in ("train", "test")}
    files["sample_submission"] = f"input/{COMPETITION}/sample_submission.csv"
    data_changes = changes.pop("data", {})
    assert isinstance(data_changes, dict)
    experiment = make_experiment("", backbone, data=files | data_changes, **changes)
    (folder / "e.toml").write_text(to_toml(experiment))
    return experiment


def pack_wheel(distribution: str, folder: Path) -> Path:
    """An installed pure Python package as the wheel that it was installed from."""
    package = importlib.metadata.distribution(distribution)
    name = package.metadata["Name"].replace("-", "_")
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{name}-{package.version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in package.files or []:
            if path.suffix != ".pyc" and path.name not in ("INSTALLER", "REQUESTED"):
                archive.write(str(path.locate()), str(path))
    return wheel


def bundle_training(experiment: Experiment, folder: Path, **plan: object) -> Path:
    """The training bundle of an experiment, written below the current directory; its dataset."""
    wheels = folder / "wheels"
    pack_wheel("iterative-stratification", wheels)
    settings = {"folds": [0, 1], "hours": 1.0, "wheels": wheels, **plan}
    training_plan = TrainingPlan(experiment, NAMES, **settings)  # type: ignore[arg-type]
    training_plan.check()
    return write_training_bundle(training_plan, NOTEBOOK, overwrite=True)


def mount(bundle: Path, folder: Path) -> tuple[Path, Path]:
    """``/kaggle/input`` with the competition and the dataset; it and the mounted dataset."""
    root = folder / "input"
    dataset = root / "datasets/ada/auxfold-tiny-training"
    shutil.copytree(bundle / "dataset", dataset)
    competition = bundle.parents[2] / "input" / COMPETITION
    shutil.copytree(competition, root / "competitions" / COMPETITION)
    return root, dataset


@pytest.fixture
def forked_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes of a kernel are forked, which spares their imports."""

    def run(commands: list[list[str]], environments: list[dict[str, str]], kill_at: float) -> int:
        processes = [
            ForkedProcess(command, env=environment)
            for command, environment in zip(commands, environments, strict=True)
        ]
        finished = [process.wait() for process in processes]
        for process in finished:
            print(process.stdout + process.stderr)
        return next((process.returncode for process in finished if process.returncode), 0)

    monkeypatch.setattr(training_processes, "_run", run)
