"""Write a small generated competition in the format of Jigsaw Unintended Bias 2019."""

from __future__ import annotations

import argparse
from pathlib import Path

from auxfold.cli.options import make_parser

EXAMPLES = """\
  auxfold make-sample
  auxfold make-sample --output /tmp/sample --rows 500 --test-rows 100 --seed 7
"""


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    from auxfold.datasets.sample import build_sample, write_sample

    tables = build_sample(args.rows, args.test_rows, args.seed)
    for path in write_sample(args.output, tables):
        print(f"{path}: {len(tables[path.name])} rows, {path.stat().st_size:,} bytes")
    train = tables["train.csv"]
    print(
        f"train: {(train['target'] >= 0.5).mean():.1%} of the rows have target >= 0.5, "
        f"{(train['target'] == 0).mean():.1%} exactly 0, "
        f"{(train['identity_annotator_count'] > 0).mean():.1%} have identity labels"
    )


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line; the same options always give the same bytes."""
    parser = make_parser("make-sample", __doc__, EXAMPLES)
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("input/sample"),
        help="folder to write to (default: input/sample)",
    )
    parser.add_argument("--rows", type=int, default=2000, help="train rows (default: 2000)")
    parser.add_argument("--test-rows", type=int, default=500, help="test rows (default: 500)")
    parser.add_argument("--seed", type=int, default=42, help="random seed (default: 42)")
    return parser.parse_args(argv)
