"""``python -m benchmarks bias``: seconds of both ways on the same rows, which agree."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks import bias
from forked import run_forked

ROOT = Path(__file__).parents[2]


def run_benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run_forked([sys.executable, "-m", "benchmarks", *arguments], ROOT)


def test_both_ways_agree_and_are_timed():
    result = bias.compare_bias(n_rows=20_000, n_identities=3, n_runs=2)
    assert result["difference"] < 1e-9
    assert result["ratio"] == result["kernel_seconds"] / result["seconds"] > 0
    assert (result["rows"], result["identities"]) == (20_000, 3)


def test_json_is_one_object(capsys):
    bias.main(["--rows", "20000", "--runs", "1", "--json"])
    output = capsys.readouterr().out
    assert output.count("\n") == 1
    assert list(json.loads(output)) == [
        "rows", "identities", "kernel_seconds", "seconds", "ratio", "difference"
    ]  # fmt: skip


def test_the_kinds_are_listed_and_others_refused():
    listed = run_benchmarks("--help").stdout
    assert "\n  tfidf " in listed and "\n  bias " in listed
    assert run_benchmarks().stdout == listed
    process = run_benchmarks("biass")
    assert process.returncode == 2
    expected = "error: no benchmark 'biass' (did you mean 'bias'?); one of train, predict, "
    assert process.stderr.startswith(expected) and process.stderr.endswith(", tfidf, bias\n")


def test_they_belong_to_the_repository_not_to_the_package(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "bias"]
    process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert process.returncode == 1 and "No module named benchmarks" in process.stderr


def test_the_old_script_names_the_new_command():
    command = [sys.executable, str(ROOT / "scripts/benchmark.py"), "tfidf"]
    process = run_forked(command)
    assert process.returncode == 2
    assert process.stderr == "error: scripts/benchmark.py is now python -m benchmarks KIND\n"
