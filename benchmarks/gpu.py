"""Everything that is measured on a GPU, in order of worth, with one command.

First come the tests that need CUDA, then the rows, each in a process of its own and within a time
limit. A row that fails prints one line with the seconds of its phases, and the next one starts.
Every record is appended to a file of JSON lines as it comes. ``python -m benchmarks table FILE``
writes them into docs/results/speed.md, on another machine as well.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from typing import Any, NamedTuple

from auxfold.cli.exit_codes import run
from auxfold.errors import InputError
from benchmarks.phases import phase_seconds, start_phase

EXAMPLES = """examples:
  python -m benchmarks gpu --out results.jsonl
  python -m benchmarks gpu --only train --rows-only 3
  python -m benchmarks gpu --only tests,idle --limit 60
"""
TESTS = "tests"
MARK = "mark.cuda"
MAX_ROWS = 4096  # no more than there is time for: they are tokenized
# A row is forked from a process that never used the GPU and that has imported what takes many
# seconds, which a process of its own would take in every row.
START = multiprocessing.get_context("forkserver")
PRELOADED = ["torch", "transformers", "pandas", "auxfold.training.fold"]


class Row(NamedTuple):
    """One benchmark.

    Attributes:
        kind: as in ``python -m benchmarks KIND``.
        options: of that command.
    """

    kind: str
    options: list[str]

    def __str__(self) -> str:
        return " ".join([self.kind, *self.options])


ROWS = [
    Row("train", ["--random", "bert-base"]),
    Row("train", ["--random", "roberta-base"]),
    Row("train", ["--random", "deberta-v3-base"]),
    Row("train", ["--random", "bert-base", "--batch-size", "256"]),
    Row("train", ["--random", "modernbert-base"]),
    Row("predict", ["--random", "bert-base"]),
    Row("idle", ["--random", "bert-base"]),
    Row("predict", ["--random", "deberta-v3-base"]),
    Row("predict", ["--random", "modernbert-base"]),
    Row("train", ["--random", "bert-base", "--dropout", "off"]),
]


def main(argv: list[str] | None = None) -> None:
    """Run the tests and the rows.

    Raises:
        InputError: ``--only`` names something that there is not.
    """
    args = parse_args(argv)
    kinds = [TESTS, *dict.fromkeys(row.kind for row in ROWS)]
    only = args.only.split(",") if args.only else kinds
    for kind in only:
        if kind not in kinds:
            raise InputError(f"--only {kind}; expected is some of {','.join(kinds)}")
    rows = [row for row in ROWS if row.kind in only][: args.rows_only]
    START.set_forkserver_preload(PRELOADED)
    if rows:
        ensure_running()  # it imports while the tests run
    if TESTS in only:
        run_tests(args.tests_limit)
    if rows:
        await_imports()
    with tempfile.TemporaryDirectory() as folder:
        for row in rows:
            run_row(row, args, Path(folder))


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks gpu",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--only", metavar="KIND,…", help="some of tests, train, predict, idle")
    parser.add_argument("--rows-only", type=int, metavar="N", help="the first N rows")
    parser.add_argument(
        "--seconds", type=float, default=12.0, help="of measuring in a row; default: %(default)s"
    )
    parser.add_argument(
        "--limit", type=float, default=120.0, help="seconds of a row; default: %(default)s"
    )
    parser.add_argument(
        "--tests-limit", type=float, default=120.0, help="seconds; default: %(default)s"
    )
    parser.add_argument(
        "--out", default="outputs/benchmarks/gpu.jsonl", help="default: %(default)s"
    )
    parser.add_argument(
        "--random", metavar="NAME", help="this backbone in every row, such as tiny, to try it"
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda", help="cpu to try it")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="in every row; repeatable"
    )
    return parser.parse_args(argv)


def run_tests(limit: float) -> None:
    """The tests that are skipped without CUDA."""
    paths = sorted(str(path) for path in Path("tests").rglob("test_*.py") if MARK in read(path))
    command = [sys.executable, "-m", "pytest", "-q", "--tb=line", "-m", "cuda", *paths]
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        try:
            subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, timeout=limit)
        except subprocess.TimeoutExpired:
            print(f"not finished in {limit:g} s", file=output, flush=True)
        output.seek(0)
        lines = output.read().strip().splitlines()
    say("\n".join(lines[-40:]))
    say(f"tests of {len(paths)} files: {time.perf_counter() - started:.1f} s")


def read(path: Path) -> str:
    """The text of a file."""
    return path.read_text(encoding="utf-8")


def await_imports() -> None:
    """Wait until a process can be forked, so that the first row takes no longer than others."""
    started = time.perf_counter()
    process = START.Process(target=time.perf_counter)
    process.start()
    process.join()
    say(f"imports: {time.perf_counter() - started:.1f} s")


def run_row(row: Row, args: argparse.Namespace, folder: Path) -> None:
    """One benchmark, in a process of its own; its record goes to the file of results."""
    output, errors = folder / "output", folder / "errors"
    arguments = row_arguments(row, args)
    started = time.perf_counter()
    process = START.Process(target=run_kind, args=(arguments, output, errors))
    process.start()
    process.join(args.limit)
    seconds = time.perf_counter() - started
    if process.is_alive():
        process.kill()
        process.join()
        lines = [*read(errors).splitlines(), f"not finished in {args.limit:g} s"]
        report_failure(row, args, seconds, lines)
    elif process.exitcode != 0:
        lines = read(errors).splitlines() or [f"exit code {process.exitcode}"]
        report_failure(row, args, seconds, lines)
    else:
        record = json.loads(read(output).strip().splitlines()[-1])
        append(args.out, record)
        say(f"{' '.join(arguments)}: {seconds:.1f} s: {summarize(record)}")


def run_kind(arguments: list[str], output: Path, errors: Path) -> None:
    """``python -m benchmarks KIND …`` in this process, with its output in files."""
    for path, descriptor in ((output, 1), (errors, 2)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), descriptor)
    start_phase("imports")
    from benchmarks.__main__ import main as run_benchmark

    run(lambda: run_benchmark(arguments))


def report_failure(row: Row, args: argparse.Namespace, seconds: float, lines: list[str]) -> None:
    """One line for a person, and the last lines of the errors in the file of results."""
    phases = phase_seconds("\n".join(lines), seconds)
    shown = "".join(f"; {name} {value:.1f} s" for name, value in phases.items())
    say(f"{row}: failed after {seconds:.1f} s: {lines[-1]}{shown}")
    failure = {"failed": str(row), "seconds": seconds, "phases": phases, "error": lines[-20:]}
    append(args.out, failure)


def row_arguments(row: Row, args: argparse.Namespace) -> list[str]:
    """The options of the row's command."""
    options = list(row.options)
    if args.random:
        options[options.index("--random") + 1] = args.random
    if row.kind != "idle":
        options += ["--seconds", f"{args.seconds:g}", "--max-rows", str(MAX_ROWS)]
    for override in args.set:
        options += ["--set", override]
    return [row.kind, *options, "--device", args.device, "--json", "--no-table"]


def summarize(record: dict[str, Any]) -> str:
    """The figures of a record in one line."""
    figures = {**record["ratios"], **record.get("medians", {})}
    figures |= {f"{name} GiB": value for name, value in record.get("memory_gib", {}).items()}
    return ", ".join(f"{name} {v:.4g}" for name, v in figures.items() if v is not None)


def append(path: str, record: dict[str, Any]) -> None:
    """Add one line of JSON to a file, which is on the disk before the next row starts."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
        file.flush()
        os.fsync(file.fileno())


def say(line: str) -> None:
    """Print at once, also into a file."""
    print(line, flush=True)
