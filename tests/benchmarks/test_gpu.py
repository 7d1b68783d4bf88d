"""One command for a GPU: every row in its process, failures in one line, results as they come."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from auxfold.errors import InputError
from benchmarks import gpu


@pytest.fixture
def args(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gpu, "PRELOADED", [])
    return gpu.parse_args(["--out", "results.jsonl", "--device", "cpu", "--random", "tiny"])


def results() -> list[dict]:
    return [json.loads(line) for line in Path("results.jsonl").read_text().splitlines()]


def test_the_options_of_a_row(args):
    row = gpu.Row("train", ["--random", "bert-base", "--batch-size", "256"])
    args.set = ["train.compile=off"]
    assert (
        gpu.row_arguments(row, args)
        == (
            "train --random tiny --batch-size 256 --seconds 12 --max-rows 4096 "
            "--set train.compile=off --device cpu --json --no-table"
        ).split()
    )
    assert "--seconds" not in gpu.row_arguments(gpu.Row("idle", ["--random", "bert-base"]), args)


def test_rows_succeed_fail_and_run_out_of_time(args, tmp_path, monkeypatch, capsys):
    arguments = {
        "good": ["metric", "--rows", "500", "--repetitions", "1", "--json", "--no-table"],
        "bad": ["train", "--random", "nothing"],
        "slow": ["metric", "--rows", "100000", "--repetitions", "100000", "--no-table"],
    }
    monkeypatch.setattr(gpu, "row_arguments", lambda row, args: arguments[row.kind])
    for kind in arguments:
        args.limit = 3.0 if kind == "slow" else 100.0
        gpu.run_row(gpu.Row(kind, []), args, tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("metric --rows 500") and "auc" in lines[0]
    assert lines[1].startswith("bad: failed after") and "--random nothing; expected is" in lines[1]
    assert re.search(r"; imports [\d.]+ s; backbone [\d.]+ s$", lines[1])
    assert re.search(r"^slow: failed after .* not finished in 3 s; imports [\d.]+ s$", lines[2])
    good, bad, slow = results()
    assert good["kind"] == "metric"
    assert (bad["failed"], slow["failed"]) == ("bad", "slow")
    assert list(bad["phases"]) == ["imports", "backbone"]
    assert sum(bad["phases"].values()) <= bad["seconds"] + 0.2


def test_rows_are_selected(args, monkeypatch):
    ran: list[str] = []
    monkeypatch.setattr(gpu, "run_tests", lambda limit: ran.append("tests"))
    monkeypatch.setattr(gpu, "ensure_running", lambda: ran.append("forkserver"))
    monkeypatch.setattr(gpu, "await_imports", lambda: ran.append("imports"))
    monkeypatch.setattr(gpu, "run_row", lambda row, args, folder: ran.append(row.kind))
    gpu.main(["--only", "predict", "--rows-only", "2"])
    assert ran == ["forkserver", "imports", "predict", "predict"]
    ran.clear()
    gpu.main([])
    assert ran[:3] == ["forkserver", "tests", "imports"]
    assert ran[3:10] == ["train"] * 5 + ["predict", "idle"]
    ran.clear()
    gpu.main(["--only", "tests"])
    assert ran == ["tests"]
    with pytest.raises(InputError, match="--only training; expected is some of tests,train,pre"):
        gpu.main(["--only", "training"])


def test_the_tests_that_need_cuda_are_those_with_the_mark(args, monkeypatch, capsys):
    Path("tests").mkdir()
    Path("tests/test_gpu.py").write_text("# pytest.mark.cuda\ndef test_fast(): pass\n")
    Path("tests/test_cpu.py").write_text("def test_other(): assert False\n")
    gpu.run_tests(100)
    assert "tests of 1 files" in capsys.readouterr().out
