"""Write measurements from a file of JSON lines into docs/results/speed.md."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from auxfold.errors import InputError
from benchmarks.speed_table import COLUMNS, add_rows

EXAMPLES = """examples:
  python -m benchmarks table outputs/benchmarks/gpu.jsonl
"""


def main(argv: list[str] | None = None) -> None:
    """Add a row for every record; lines about rows that failed are skipped.

    Raises:
        InputError: no such file, or a line that is no record.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks table",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="of python -m benchmarks gpu")
    parser.add_argument("--page", default="docs/results/speed.md", help="default: %(default)s")
    args = parser.parse_args(argv)
    records = []
    for path in args.files:
        if not Path(path).is_file():
            raise InputError(f"no file {path}; expected is one that `benchmarks gpu` wrote")
        for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
            try:
                record = json.loads(line)
            except ValueError:
                raise InputError(f"{path}, line {number} is no JSON object") from None
            if record.get("kind") in COLUMNS:
                records.append(record)
    add_rows(Path(args.page), records)
    print(f"{len(records)} rows written into {args.page}")
