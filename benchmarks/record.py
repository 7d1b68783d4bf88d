"""The record of a measurement: what was measured where and with which command, as JSON."""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import auxfold
from auxfold.storage.atomic import write_json
from auxfold.storage.provenance import package_version
from benchmarks.speed_table import COLUMNS, add_rows

RECORDS = Path("outputs/benchmarks")
SPEED_PAGE = Path("docs/results/speed.md")
PACKAGES = ("torch", "transformers")


def make_record(
    kind: str, device: torch.device, seed: int, arguments: list[str], **content: Any
) -> dict[str, Any]:
    """A record with the hardware, the versions, the command and the date.

    Args:
        kind: as in ``python -m benchmarks KIND``.
        device: where it was measured.
        seed: of rows and weights.
        arguments: of the command.
        content: ``case`` (what was measured), ``ratios``, ``medians`` and others.
    """
    shown = [argument for argument in arguments if argument not in ("--json", "--no-table")]
    return {
        "kind": kind,
        "device": describe_device(device),
        **content,
        "seed": seed,
        "versions": {
            "python": platform.python_version(),
            "auxfold": auxfold.__version__,
            **{package: package_version(package) for package in PACKAGES},
        },
        "command": shlex.join(["python", "-m", "benchmarks", kind, *shown]),
        "date": time.strftime("%Y-%m-%d"),
    }


def publish(record: dict[str, Any], as_json: bool, table: bool) -> None:
    """Write a record into ``outputs/benchmarks/`` and into the page of speeds, and print it.

    Args:
        record: of :func:`make_record`.
        as_json: whether to print one JSON object instead of a table.
        table: whether to write a row into the page, where the page exists and has such rows.
    """
    path = RECORDS / f"{record['kind']}_{time.strftime('%Y%m%d_%H%M%S')}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, record)
    written = [str(path)]
    if table and SPEED_PAGE.is_file() and record["kind"] in COLUMNS:
        add_rows(SPEED_PAGE, [record])
        written.append(str(SPEED_PAGE))
    print(f"written: {', '.join(written)}", file=sys.stderr)
    print(json.dumps(record) if as_json else describe_record(record))


def run_measurement(
    parser: argparse.ArgumentParser,
    measure: Callable[[argparse.Namespace, list[str]], dict[str, Any]],
    argv: list[str] | None,
) -> None:
    """Parse the options, measure and publish.

    Args:
        parser: of :func:`benchmarks.options.make_parser`.
        measure: takes the options, parsed and as they were given, and returns the record.
        argv: the arguments of the command's ``main``.
    """
    args = parser.parse_args(argv)
    record = measure(args, sys.argv[2:] if argv is None else argv)
    publish(record, args.json, not args.no_table)


def describe_record(record: dict[str, Any]) -> str:
    """The figures of a record, a line each."""
    lines = [f"{record['kind']} on {record['device']}"]
    for section in ("case", "ratios", "medians", "memory_gib"):
        for name, value in record.get(section, {}).items():
            text = f"{value:,.4g}" if isinstance(value, float) else str(value)
            lines.append(f"  {section:10}  {name:28} {text}")
    for against, costs in record.get("costs", {}).items():
        lines += [
            f"  {against:10}  {size:<10,} {_describe_cost(cost)}" for size, cost in costs.items()
        ]
    for part in record.get("parts", []):
        figures = "  ".join(f"{name} {value:.4g}" for name, value in part["medians"].items())
        lines.append(f"  {part['case']['what']}: {figures}")
    return "\n".join(lines)


def _describe_cost(cost: float | dict[str, float]) -> str:
    if isinstance(cost, dict):
        return "  ".join(f"{name} {seconds:.3g} s" for name, seconds in cost.items())
    return f"{cost:.4g} ms per row"


def describe_device(device: torch.device) -> str:
    """The name of the graphics card, or of the processor with its threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_processor()}, {torch.get_num_threads()} threads"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    features = facts.get("flags", "").split()
    formats = [name for name in ("amx_bf16", "avx512_bf16") if name in features]
    return " ".join([facts.get("model name", platform.machine()), *formats])
