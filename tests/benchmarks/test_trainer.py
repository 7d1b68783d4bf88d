"""The peer: what it trains, with which settings, and which seconds count."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from benchmarks.trainer import PeerSettings, TrainerPeer, load_classifier, tokenize_rows


def make_settings(backbone: str, folder, **changes) -> PeerSettings:
    settings = {
        "backbone": backbone, "batch_size": 4, "dropout": True, "n_labels": 6,
        "amp_dtype": "bf16", "device": torch.device("cpu"), "folder": folder,
    }  # fmt: skip
    return PeerSettings(**{**settings, **changes})


class Watch(TrainerCallback):
    def __init__(self) -> None:
        self.steps = 0

    def on_step_end(self, *args, **options) -> None:
        self.steps += 1


def make_rows(backbone: str, n_rows: int) -> list[dict]:
    texts = [" ".join(["goose"] * (1 + n % 7)) for n in range(n_rows)]
    return tokenize_rows(texts, np.zeros((n_rows, 6), dtype=np.float32), backbone, 24)


def test_rows_are_tokens_and_labels(backbone):
    rows = make_rows(backbone, 3)
    assert [len(row["input_ids"]) for row in rows] == [3, 4, 5]
    assert rows[0]["labels"] == [0.0] * 6


@pytest.mark.parametrize("best", [False, True])
def test_a_run_is_one_epoch(backbone, tmp_path, best, capsys):
    make_peer = TrainerPeer.at_its_best if best else TrainerPeer.with_defaults
    peer, watch = make_peer(make_settings(backbone, tmp_path)), Watch()
    peer.trainer.add_callback(watch)
    rows = make_rows(backbone, 10)
    assert peer.run(rows) > 0 and watch.steps == 3
    assert peer.run(rows[:4]) > 0 and watch.steps == 4
    assert capsys.readouterr().out == "", "one JSON object is all that a benchmark prints"


def test_the_best_settings_and_the_defaults(backbone, tmp_path):
    best = TrainerPeer.at_its_best(make_settings(backbone, tmp_path)).trainer.args
    assert best.bf16 and best.train_sampling_strategy == "group_by_length"
    assert best.optim == "adamw_torch_fused" and not best.logging_nan_inf_filter
    half = TrainerPeer.at_its_best(make_settings(backbone, tmp_path, amp_dtype="fp32"))
    assert not half.trainer.args.bf16 and not half.trainer.args.fp16
    default = TrainerPeer.with_defaults(make_settings(backbone, tmp_path)).trainer.args
    assert not default.bf16 and default.train_sampling_strategy == "random"
    assert default.per_device_train_batch_size == best.per_device_train_batch_size == 4


@pytest.mark.parametrize("dropout", [True, False])
def test_dropout_is_that_of_the_backbone_or_none(backbone, tmp_path, dropout):
    model = load_classifier(make_settings(backbone, tmp_path, dropout=dropout))
    rates = {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)}
    assert rates == ({0.1} if dropout else {0.0})
    assert model.config.problem_type == "multi_label_classification"
    assert model.classifier.out_features == 6
