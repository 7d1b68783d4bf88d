"""``python -m benchmarks train``: ours and the Trainer on the same rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from auxfold.errors import InputError
from auxfold.training.epochs import EpochPlan
from benchmarks import train
from benchmarks.experiment import LABELS, make_experiment
from benchmarks.options import add_model_options, make_parser
from benchmarks.our_training import OurTraining
from benchmarks.rows import make_table, write_table
from conftest import make_frame

OPTIONS = ["--random", "tiny", "--batch-size", "8", "--precision", "fp32", "--device", "cpu"]


def parse(*options: str):
    parser = make_parser("train", "", "")
    add_model_options(parser)
    return parser.parse_args([*OPTIONS, *options])


def test_json_is_one_object_with_ratios_and_medians(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    short = ["--seconds", "0.1", "--repetitions", "1", "--max-rows", "48", "--mean-tokens", "10"]
    train.main([*OPTIONS, *short, "--json"])
    output = capsys.readouterr()
    assert output.out.count("\n") == 1
    assert "s] turns of trainer_best and auxfold\n" in output.err
    record = json.loads(output.out)
    assert record["kind"] == "train" and record["command"].startswith("python -m benchmarks train")
    assert "--json" not in record["command"]
    assert list(record["ratios"]) == ["trainer_best", "trainer_default", "floor_share"]
    rows = record["case"]["rows"]
    assert rows == {"auxfold": 32, "trainer_best": 32, "trainer_default": 32}
    medians = record["medians"]
    for name in rows:
        seconds = record["seconds"][name][0]
        assert medians[f"{name}_rows_per_second"] == pytest.approx(rows[name] / seconds)
    ratio = medians["auxfold_rows_per_second"] / medians["trainer_best_rows_per_second"]
    assert record["ratios"]["trainer_best"] == pytest.approx(ratio)
    beside = 32 / record["seconds"]["auxfold_beside_default"][0]
    ratio = beside / medians["trainer_default_rows_per_second"]
    assert record["ratios"]["trainer_default"] == pytest.approx(ratio)
    share = record["seconds"]["matrix_products"][0] / record["seconds"]["auxfold"][0]
    assert record["ratios"]["floor_share"] == pytest.approx(share)
    (path,) = Path("outputs/benchmarks").glob("train_*.json")
    assert json.loads(path.read_text()) == record


def test_auxfold_alone_on_texts_of_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_frame(20).to_csv("train.csv", index=False)
    options = ["--seconds", "0.1", "--repetitions", "1", "--max-rows", "16", "--only", "auxfold"]
    train.main([*OPTIONS, *options, "--texts", "train.csv", "--json"])
    record = json.loads(capsys.readouterr().out)
    assert list(record["ratios"]) == ["floor_share"]
    assert record["case"]["rows"] == {"auxfold": 16}


def test_our_steps_are_those_of_a_fold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    args = parse("--max-length", "40", "--mean-tokens", "10")
    from transformers import AutoTokenizer

    from benchmarks.options import load_texts, resolve_backbone

    backbone = resolve_backbone(args)
    texts = load_texts(args, AutoTokenizer.from_pretrained(backbone.path), 50)
    experiment = make_experiment(args, backbone.path)
    ours = OurTraining(experiment, texts, args.seed, torch.device("cpu"))
    indices = np.arange(3, 40)
    plan = EpochPlan(experiment.train, experiment.seed, ours.parts.stepper.dataset, indices)
    for step, expected in zip(ours.steps(indices), plan.steps(0), strict=True):
        assert step.tolist() == expected.tolist()
    lengths = np.concatenate(ours.batch_lengths(indices))
    expected = ours.parts.stepper.dataset.lengths()[indices]
    assert np.sort(lengths).tolist() == np.sort(expected).tolist()
    before = {name: p.clone() for name, p in ours.parts.model.named_parameters()}
    assert ours.run(indices) > 0
    assert any((p != before[name]).any() for name, p in ours.parts.model.named_parameters())


def test_options_reach_the_experiment():
    experiment = make_experiment(
        parse("--dropout", "off", "--pooling", "cls", "--set", "model.attention=sdpa"), "b"
    )
    assert experiment.model.hidden_dropout == experiment.model.head_dropout == 0
    assert experiment.model.pooling == "cls" and experiment.model.attention == "sdpa"
    assert experiment.train.batch_size == 8 and experiment.label_columns == LABELS


def test_an_unknown_backbone_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="--random big; expected is one of bert-base, roberta"):
        train.main(["--random", "big"])


def test_a_table_is_written_as_people_have_it(tmp_path):
    write_table(make_table(["a", "b"], 6), tmp_path / "t.csv", LABELS)
    header = (tmp_path / "t.csv").read_text().splitlines()[0]
    assert header == "id,text,label_0,label_1,label_2,label_3,label_4,label_5"
