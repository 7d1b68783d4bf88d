"""Tiny random backbones and small competitions, made on the spot."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # under nohup; commands would ignore it, too
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

import numpy as np
import pandas as pd
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

from auxfold.config.experiment import Experiment, experiment_from_dict, to_toml
from auxfold.data.loading import read_training_table
from auxfold.kaggle import workers
from auxfold.storage.run_folder import FoldFolder, RunFolder
from auxfold.tasks import TaskSet
from auxfold.training.build import build_fold
from auxfold.training.fold import train_fold
from auxfold.training.fold_trainer import FoldTrainer
from auxfold.training.loop import StepTrainer
from commands import command_line
from forked import ForkedProcess, run_forked

WORDS = (
    "the a garden train bread council rain good bad silly goose nonsense soup is was not".split()
)
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TINY_CONFIG = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
    "vocab_size": len(SPECIAL) + len(WORDS),
    "pad_token_id": 0,
}
ARCHITECTURES = {
    "bert": {},
    "roberta": {"max_position_embeddings": 66},
    "xlm-roberta": {"max_position_embeddings": 66},
    "deberta": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "electra": {"embedding_size": 8},
    "albert": {"embedding_size": 8},
    "mpnet": {},
    "modernbert": {"global_attn_every_n_layers": 2, "cls_token_id": 2, "sep_token_id": 3},
}


# Where files take long. They come first, so that two processes end at about the same time.
LONG = ("end_to_end", "training", "tracking", "kaggle", "reliability", "test_docs.py", "model")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests, and skip those that are marked ``cuda`` where there is no CUDA device."""
    items.sort(key=lambda item: _position(item.path))
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("cuda") is not None:
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def _position(path: Path) -> int:
    part = path.relative_to(Path(__file__).parent).parts[0]
    return LONG.index(part) if part in LONG else len(LONG)


def make_tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {word: i for i, word in enumerate(SPECIAL + WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def make_backbone(folder: Path, architecture: str = "bert") -> str:
    """A tiny random backbone with a word tokenizer, saved as people save them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in saved_backbone(architecture).items():
        (folder / name).write_bytes(content)
    torch.manual_seed(0)
    return str(folder)


@cache
def saved_backbone(architecture: str) -> dict[str, bytes]:
    """The files of a backbone, each of which is made once."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(architecture, **{**TINY_CONFIG, **ARCHITECTURES[architecture]})
    with tempfile.TemporaryDirectory() as folder:
        AutoModel.from_config(config).save_pretrained(folder)
        make_tokenizer().save_pretrained(folder)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_backbone(tmp_path_factory.mktemp("backbone"))


def make_frame(rows: int = 60, seed: int = 0) -> pd.DataFrame:
    """``id, text, toxic, insult, threat``: toxic when "goose" is said; some labels missing."""
    random = np.random.default_rng(seed)
    texts = [" ".join(random.choice(WORDS, size=random.integers(1, 30))) for _ in range(rows)]
    toxic = np.array([0.9 if "goose" in text else 0.1 for text in texts])
    insult = np.where(random.random(rows) < 0.3, np.nan, (random.random(rows) < 0.5) * 1.0)
    threat = (random.random(rows) < 0.4) * 1.0
    ids = [f"r{n:04d}" for n in random.permutation(rows)]
    return pd.DataFrame(
        {"id": ids, "text": texts, "toxic": toxic, "insult": insult, "threat": threat}
    )


def make_experiment(path: str, backbone: str, /, **changes: object) -> Experiment:
    raw: dict = {
        "name": "tiny",
        "data": {"train": path},
        "folds": {"n_splits": 2},
        "model": {"backbone": backbone, "max_length": 24},
        "tasks": [
            {"name": "main", "kind": "binary", "columns": ["toxic"], "main": True},
            {"name": "aux", "kind": "binary", "columns": ["insult", "threat"], "weight": 0.5},
        ],
        "train": {"epochs": 2, "batch_size": 8, "learning_rate": 1e-3, "precision": "fp32"},
        "tracking": {"wandb": "off"},
    }
    for section, content in changes.items():
        is_section = isinstance(content, dict)
        raw[section] = {**raw.get(section, {}), **content} if is_section else content
    return experiment_from_dict(raw, "tests")


def make_stepper(backbone: str, **changes: object) -> StepTrainer:
    """What makes the steps over all rows of ``train.csv``, in training mode."""
    AcceleratorState._reset_state()
    experiment = make_experiment("train.csv", backbone, **changes)
    table, tasks = read_training_table(experiment), TaskSet.from_experiment(experiment)
    indices, accelerator = np.arange(len(table)), Accelerator(cpu=True)
    stepper = build_fold(experiment, tasks, table, indices, accelerator, seed=0).stepper
    stepper.model.train()
    return stepper


@pytest.fixture
def work_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to work in, with ``train.csv`` in it."""
    monkeypatch.chdir(tmp_path)
    make_frame().to_csv(tmp_path / "train.csv", index=False)
    return tmp_path


def run_in_two_processes(command: list[str]) -> list[subprocess.CompletedProcess[str]]:
    """A Python command line in two forked processes, with the variables of ``torchrun``."""
    with socket.create_server(("localhost", 0)) as server:
        port = server.getsockname()[1]
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    environment = {**os.environ, **common, "ACCELERATE_USE_CPU": "1"}
    processes = [
        ForkedProcess(command, env={**environment, "RANK": rank, "LOCAL_RANK": rank})
        for rank in "01"
    ]
    return [process.wait() for process in processes]


def train_in_two_processes(experiment: Experiment) -> None:
    """Train fold 0 again in two processes."""
    Path("e.toml").write_text(to_toml(experiment))
    command = [*command_line("train"), "--config", "e.toml", "--fold", "0", "--overwrite"]
    for process in run_in_two_processes(command):
        assert process.returncode == 0, process.stderr
    check_two_processes(experiment)


def launch_in_two_processes(experiment: Experiment) -> None:
    """As above, by the launcher; ``accelerate launch --cpu`` starts a single one."""
    Path("e.toml").write_text(to_toml(experiment))
    arguments = ["--config", "e.toml", "--fold", "0", "--overwrite"]
    python, script = command_line("train")
    # Alone on its host, it takes a free port: the usual one may be another launcher's.
    launcher = [python, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"}
    process = run_forked([*launcher, script, *arguments], env=environment)
    assert process.returncode == 0, process.stderr
    check_two_processes(experiment)


def check_two_processes(experiment: Experiment) -> None:
    record = json.loads(RunFolder.of(experiment).fold(0).run.read_text())
    assert record["processes"] == 2


@pytest.fixture
def forked_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes that predict a bundle are forked, which spares their imports."""

    def run_process(shard: workers.WorkerShard, tasks: dict[str, list[str]]) -> int:
        argument = json.dumps({"shard": asdict(shard), "tasks": tasks})
        process = run_forked([sys.executable, "-m", "auxfold.kaggle.workers", argument])
        print(process.stdout + process.stderr)
        return process.returncode

    monkeypatch.setattr(workers, "_run_process", run_process)


def load_tensors(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def assert_same_training(ours: FoldFolder, whole: dict, history: list[dict]) -> None:
    """Equal weights, and equal losses and gradient norms on the way (AdamW hides a scale)."""
    for name, values in whole.items():
        torch.testing.assert_close(load_tensors(ours.path)[name], values, atol=2e-4, rtol=1e-3)
    for record, expected in zip(load_history(ours), history, strict=True):
        assert record["gradient_norm"] == pytest.approx(expected["gradient_norm"], rel=1e-3)
        assert record["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-3)


def load_history(folder: FoldFolder) -> list[dict]:
    return [json.loads(line) for line in folder.history.read_text().splitlines()]


def assert_resumes_exactly(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Interrupted in a step and resumed, fold 0 has the very weights of an uninterrupted one."""
    weights = load_file(train_fold(experiment, 0).path / "model.safetensors")
    calls, original = 0, StepTrainer.train_step

    def interrupt(self, indices):
        nonlocal calls
        calls += 1
        if calls == step:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, indices)

    monkeypatch.setattr(StepTrainer, "train_step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train_fold(experiment, 0, overwrite=True)
    resumed = train_fold(experiment, 0, resume=True)
    for name, values in load_file(resumed.path / "model.safetensors").items():
        assert torch.equal(values, weights[name]), name


def train_until_second_epoch(experiment: Experiment, **options: bool) -> None:
    """Train fold 0 until its evaluation in the second epoch, where Ctrl-C is pressed."""
    evaluate = FoldTrainer.evaluate_and_select

    def stop(self: FoldTrainer, *args: Any) -> None:
        evaluate(self, *args)
        if self.progress.epoch == 1:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(FoldTrainer, "evaluate_and_select", stop)
        train_fold(experiment, 0, **options)
