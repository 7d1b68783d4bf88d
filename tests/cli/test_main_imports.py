"""Help and refusals come before anything slow is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXPERIMENT = """
name = "tiny"
[data]
train = "train.csv"
test = "test.csv"
[model]
backbone = "b"
[[tasks]]
name = "main"
kind = "binary"
columns = ["toxic"]
"""
SLOW = ("torch", "transformers", "matplotlib", "accelerate", "sklearn", "wandb", "pandas", "numpy")
# Runs one command several times in one process: code, error and slow modules after every run.
PROGRAM = """
import contextlib, io, json, sys
from auxfold.cli.main import main
command, runs, slow = json.loads(sys.argv[1])
results = []
for arguments in runs:
    error = io.StringIO()
    code = 0
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(error):
        try:
            main(command, arguments)
        except SystemExit as stop:
            code = stop.code or 0
    results.append([code, error.getvalue(), [name for name in slow if name in sys.modules]])
print(json.dumps(results))
"""
CONFIG = ["--config", "e.toml"]
NO_FILE = "no file train.csv"
NOT_TRAINED = "fold 0, 1, 2, 3, 4 not trained yet"
NO_CONFIG = "no experiment file none.toml"
REFUSED = {
    "get-data": [(["stbs"], "did you mean 'stsb'")],
    "make-sample": [(["--rows", "many"], "invalid int value")],
    "new-experiment": [(["train.csv"], NO_FILE), (["e.toml", "--test", "t.csv"], "no file t.csv")],
    "config": [(["train.epoch"], "unknown key 'train.epoch'")],
    "make-folds": [(CONFIG, NO_FILE)],
    "find-duplicates": [(CONFIG, NO_FILE), ([*CONFIG, "--similarity", "2"], "similarity")],
    "train": [
        ([*CONFIG, "--fold", "0"], NO_FILE),
        ([*CONFIG, "--fold", "all", "--dry-run"], NO_FILE),
        ([*CONFIG, "--fold", "7"], "--fold 7: folds are 0 to 4"),
        ([*CONFIG, "--fold", "first"], "--fold first: a number"),
        ([*CONFIG, "--fold", "0", "--resume", "--overwrite"], "contradict each other"),
    ],
    "evaluate": [
        (CONFIG, NO_FILE),
        ([*CONFIG, "--labels", "l.csv", "--predictions", "p.csv"], "no file p.csv"),
        ([*CONFIG, "--labels", "l.csv"], "go together"),
        ([*CONFIG, "--target-precision", "2"], "--target-precision 2: a number above 0"),
        ([*CONFIG, "--precision", "0.9"], "--precision is now called --target-precision"),
        ([*CONFIG, "--heat-map", "m.svg"], "--heat-map is now called --heatmap"),
    ],
    "inference": [
        (CONFIG, "no file test.csv"),
        ([*CONFIG, "--input", "more.csv", "--output", "o.csv"], "no file more.csv"),
        ([*CONFIG, "--text", "hello"], NOT_TRAINED),
        ([*CONFIG, "--text", "hello", "there"], "--text takes one quoted text"),
        ([*CONFIG, "--task", "mian"], "no task 'mian' (did you mean 'main'?)"),
        ([*CONFIG, "--folds", "x"], "--folds x: numbers"),
        ([*CONFIG, "--decide", "f1"], "--decide is now called --threshold"),
        (["--blend", "outputs/mix"], "no outputs/mix/blend.json"),
        (["--blend", "outputs/mix", *CONFIG], "--config has no effect with --blend"),
    ],
    "compare": [
        ([*CONFIG, "--variant", "v", "train.epochs=3"], NO_FILE),
        ([*CONFIG, "--variant", "v"], "expected a name and at least one KEY=VALUE"),
        ([*CONFIG, "--variant", "v", "a=1", "--folds", "9"], "--folds 9: there are 0, 1, 2, 3, 4"),
    ],
    "ablate": [(CONFIG, NO_FILE), ([*CONFIG, "--seeds", "x"], "--seeds x: numbers")],
    "sweep": [(CONFIG, NO_FILE)],
    "blend": [
        (["--predictions", "a.csv,b.csv", "--output", "o.csv"], "no file a.csv"),
        (["--predictions", "a.csv", "--output", "o.csv"], "takes two files or more"),
        (["--runs", "a,b", "--method", "maen"], "did you mean 'mean'"),
        (["--runs", "a,b", "--step", "0"], "--step 0.0: at least 0.001"),
        (["--runs", "a,b", "--precision", "0.9"], "--precision is now called --target-precision"),
    ],
    "merge": [([*CONFIG, "--output", "o"], NOT_TRAINED)],
    "bundle-kaggle": [
        ([*CONFIG, "--owner", "ada", "--competition", "c"], NOT_TRAINED),
        ([*CONFIG, "--owner", "A da", "--competition", "c"], "--owner 'A da'"),
        (["--owner", "ada", "--blend", "outputs/mix"], "no outputs/mix/blend.json"),
    ],
}
REQUIRED = {
    "get-data": ["stsb"],
    "new-experiment": ["train.csv"],
    "blend": ["--runs", "a,b"],
    "train": ["--fold", "0"],
    "compare": ["--variant", "v", "train.epochs=3"],
    "merge": ["--output", "o"],
    "bundle-kaggle": ["--owner", "ada"],
}
WITHOUT_EXPERIMENT = ("get-data", "make-sample", "new-experiment", "config", "blend")
# The registry of data sets names functions on tables.
ALLOWED = {"get-data": {"pandas", "numpy"}}


def run_in_one_process(command: str, runs: list[list[str]], cwd: Path) -> list[list]:
    argument = json.dumps([command, runs, SLOW])
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, argument], cwd=cwd, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@pytest.mark.parametrize("command", REFUSED)
def test_help_and_refusals_import_nothing_slow(command, tmp_path):
    (tmp_path / "e.toml").write_text(EXPERIMENT)
    required = REQUIRED.get(command, [])
    cases = [(["--help"], ""), (["--no-such-option", *required], "--no-such-option")]
    if command not in WITHOUT_EXPERIMENT:
        cases += [
            ([*CONFIG, *required, "--set", "train.epoch=3"], "unknown key 'train.epoch'"),
            ([*CONFIG, *required, "--set", "train.epochs=x"], "train.epochs = 'x'"),
            (["--config", "none.toml", *required], NO_CONFIG),
            (["--run", "none", *required], "no run 'none' in outputs"),
            (["--run", "tiny", *CONFIG, *required], "--config and --run both name an experiment"),
            (required, "which experiment? give --config FILE or --run NAME"),
        ]
    cases += REFUSED[command]
    results = run_in_one_process(command, [arguments for arguments, _ in cases], tmp_path)
    for (arguments, message), (code, error, slow) in zip(cases, results, strict=True):
        assert code == (0 if arguments == ["--help"] else 2), (arguments, error)
        assert message in error, arguments
        if not error.startswith("usage: "):  # argparse shows the usage before its own errors
            assert error.count("\n") == (1 if message else 0), error
        assert set(slow) <= ALLOWED.get(command, set()), (arguments, slow)
    assert not (tmp_path / "outputs").exists()


def test_every_command_is_tested():
    from auxfold.cli.commands import NAMES

    assert sorted(REFUSED) == sorted(NAMES)
