"""What survives kills, full disks, damaged files, strange tables and hours of work.

Every proof goes through the commands, on a small backbone of random weights. A fault is a result
that differs from that of the undisturbed run, a file that is torn, an error of several lines, or
memory that grows. The exit code is 1 where there is one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from auxfold.errors import InputError, nearest
from auxfold.storage.atomic import write_json
from benchmarks.reliability.workspace import Reference, Result

EXAMPLES = """  python -m benchmarks reliability
  python -m benchmarks reliability --proofs soak --soak-minutes 120
  python -m benchmarks reliability --proofs kills,disk --kills 100
"""
PROOFS = ("kills", "disk", "damage", "tables", "soak")
N_FAULTS_SHOWN = 20


def main(argv: list[str] | None = None) -> None:
    """Run the proofs, write their rows into the page and their record into ``outputs/``."""
    args = make_parser().parse_args(argv)
    results = run_proofs(check_proofs(args.proofs), args)
    publish(results, args, sys.argv[2:] if argv is None else argv)
    if any(result.faults for result in results):
        sys.exit(1)


def make_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks reliability",
        description=__doc__,
        epilog=f"examples:\n{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--proofs", default=",".join(PROOFS), help="default: %(default)s")
    parser.add_argument("--kills", type=int, default=30, help="default: %(default)s")
    parser.add_argument("--full-disks", type=int, default=27, help="default: %(default)s")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="damage every Nth file")
    parser.add_argument("--tables", type=int, default=5000, help="default: %(default)s")
    parser.add_argument("--soak-minutes", type=float, default=120.0, help="default: %(default)s")
    parser.add_argument("--rows", type=int, default=160, help="to train on; default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of rows and moments")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--no-table", action="store_true", help="leave docs/results/reliability.md as it is"
    )
    return parser


def check_proofs(text: str) -> list[str]:
    """The names of ``--proofs``.

    Raises:
        InputError: there is no such proof.
    """
    names = text.split(",")
    for name in names:
        if name not in PROOFS:
            raise InputError(
                f"--proofs {name}{nearest(name, PROOFS)}; expected are {', '.join(PROOFS)}"
            )
    return names


def run_proofs(names: list[str], args: argparse.Namespace) -> list[Result]:
    """Run the named proofs in a temporary folder, one after the other."""
    from benchmarks.reliability.damage import prove_damages
    from benchmarks.reliability.disk import prove_full_disks
    from benchmarks.reliability.kills import prove_kills
    from benchmarks.reliability.soak import prove_soak
    from benchmarks.reliability.tables import prove_tables
    from benchmarks.reliability.workspace import run_reference

    with tempfile.TemporaryDirectory() as root:
        folder, backbones = Path(root), Path(root, "backbones")

        @cache
        def reference(number: int) -> Reference:
            print("an undisturbed run", file=sys.stderr)
            return run_reference(
                folder / f"reference_{number}", args.seed + number, args.rows, backbones
            )

        proofs: dict[str, Callable[[], Result]] = {
            "kills": lambda: prove_kills(reference(0), folder / "kills", args.kills, args.seed),
            "disk": lambda: prove_full_disks(
                reference(0), folder / "disk", args.full_disks, args.seed
            ),
            "damage": lambda: prove_damages(
                reference(0), reference(1), folder / "damage", args.seed, args.every
            ),
            "tables": lambda: prove_tables(folder / "tables", args.tables, args.seed),
            "soak": lambda: prove_soak(
                folder / "soak" / "work", args.soak_minutes, args.seed, args.rows, backbones
            ),
        }
        results = []
        for name in names:
            print(name, file=sys.stderr)
            started = time.perf_counter()
            result = proofs[name]()
            result.minutes = round((time.perf_counter() - started) / 60, 1)
            results.append(result)
    return results


def publish(results: list[Result], args: argparse.Namespace, arguments: list[str]) -> None:
    """Write the record and the rows of the table, and print what went wrong."""
    import torch

    from benchmarks.record import RECORDS, make_record
    from benchmarks.reliability.page import PAGE, format_table, write_table

    content: list[dict[str, Any]] = [asdict(result) for result in results]
    record = make_record(
        "reliability",
        torch.device("cpu"),
        args.seed,
        arguments,
        case={"rows": args.rows},
        results=content,
    )
    path = RECORDS / f"reliability_{time.strftime('%Y%m%d_%H%M%S')}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, record)
    print(f"written: {path}", file=sys.stderr)
    if not args.no_table and PAGE.is_file():
        write_table(PAGE, record)
        print(f"written: {PAGE}", file=sys.stderr)
    if args.json:
        import json

        print(json.dumps(record))
        return
    print(format_table(record))
    for result in results:
        for fault in result.faults[:N_FAULTS_SHOWN]:
            print(f"{result.proof}: {fault}")
        if len(result.faults) > N_FAULTS_SHOWN:
            print(f"{result.proof}: and {len(result.faults) - N_FAULTS_SHOWN} more")
