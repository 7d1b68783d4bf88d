"""The peer: what it trains, with which settings, and which seconds count."""

from __future__ import annotations

from functools import partial

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


class FakeTime:
    """A clock of which a step of the Trainer takes 1 second."""

    def __init__(self) -> None:
        self.now, self.events = 0.0, []

    def perf_counter(self) -> float:
        return self.now

    def pass_by(self, name: str, seconds: float) -> float:
        self.events.append(name)
        self.now += seconds
        return seconds


class SlowSteps(TrainerCallback):
    """Every optimizer step takes a second of a fake time, and every start of an epoch 1,000."""

    def __init__(self, time: FakeTime) -> None:
        self.time = time

    def on_epoch_begin(self, *args, **options) -> None:
        self.time.now += 1000

    def on_pre_optimizer_step(self, *args, **options) -> None:
        self.time.pass_by("step", 1)


def make_rows(backbone: str, n_rows: int) -> list[dict]:
    texts = [" ".join(["goose"] * (1 + n % 7)) for n in range(n_rows)]
    return tokenize_rows(texts, np.zeros((n_rows, 6), dtype=np.float32), backbone, 24)


def test_rows_are_tokens_and_labels(backbone):
    rows = make_rows(backbone, 3)
    assert [len(row["input_ids"]) for row in rows] == [3, 4, 5]
    assert rows[0]["labels"] == [0.0] * 6


@pytest.mark.parametrize("best", [False, True])
def test_the_clock_of_the_trainer_leaves_the_turns_of_others_out(
    backbone, tmp_path, best, monkeypatch, capsys
):
    time = FakeTime()
    monkeypatch.setattr("benchmarks.trainer.time", time)
    make_peer = TrainerPeer.at_its_best if best else TrainerPeer.with_defaults
    peer = make_peer(make_settings(backbone, tmp_path))
    peer.trainer.add_callback(SlowSteps(time))
    others = {name: partial(time.pass_by, name, 100 * len(name)) for name in ("ours", "products")}
    blocks, turns = peer.take_turns(make_rows(backbone, 10), others, repetitions=2)
    assert time.events == ["step", "step", "step", "ours", "products"] * 3, "one to warm up"
    assert blocks == [3, 3] and turns == {"ours": [400, 400], "products": [800, 800]}
    time.events.clear()
    assert peer.take_turns(make_rows(backbone, 4), {}, repetitions=1) == ([1], {})
    assert time.events == ["step"] * 2
    assert capsys.readouterr().out == "", "one JSON object is all that a benchmark prints"


def test_a_block_has_all_rows_once_and_is_sorted_by_length_as_one_group(backbone, tmp_path):
    peer = TrainerPeer.at_its_best(make_settings(backbone, tmp_path))
    sampler = peer.trainer._get_train_sampler(make_rows(backbone, 42))
    first, second = list(sampler), list(sampler)
    assert first != second and sorted(first) == sorted(second) == list(range(42))
    for order in (first, second):
        lengths = [sampler.lengths[row] for row in order]
        assert lengths == sorted(lengths, reverse=True)
    default = TrainerPeer.with_defaults(make_settings(backbone, tmp_path))
    assert type(default.trainer._get_train_sampler([{}])) is torch.utils.data.RandomSampler


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
