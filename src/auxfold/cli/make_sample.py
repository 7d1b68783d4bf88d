"""Write a small generated competition in the format of one of Jigsaw's."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from auxfold.cli.options import make_parser

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = """\
  auxfold make-sample
  auxfold make-sample --output /tmp/sample --rows 500 --test-rows 100 --seed 7
  auxfold make-sample --competition jigsaw_2025 --output input/jigsaw-agile-community-rules
"""


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    from auxfold.datasets.rule_sample import build_rule_sample
    from auxfold.datasets.sample import build_sample, write_sample

    has_rules = args.competition == "jigsaw_2025"
    build = build_rule_sample if has_rules else build_sample
    tables = build(args.rows, args.test_rows, args.seed)
    for path in write_sample(args.output, tables):
        print(f"{path}: {len(tables[path.name])} rows, {path.stat().st_size:,} bytes")
    print(describe_rules(tables) if has_rules else describe_toxicity(tables["train.csv"]))


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line; the same options always give the same bytes."""
    parser = make_parser("make-sample", __doc__, EXAMPLES)
    parser.add_argument(
        "--competition",
        choices=["jigsaw_2019", "jigsaw_2025"],
        default="jigsaw_2019",
        help="whose format: Unintended Bias 2019, or Agile Community Rules 2025 "
        "(default: jigsaw_2019)",
    )
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


def describe_toxicity(train: pd.DataFrame) -> str:
    """How many training rows are toxic, and how many have labels of identities."""
    return (
        f"train: {(train['target'] >= 0.5).mean():.1%} of the rows have target >= 0.5, "
        f"{(train['target'] == 0).mean():.1%} exactly 0, "
        f"{(train['identity_annotator_count'] > 0).mean():.1%} have identity labels"
    )


def describe_rules(tables: dict[str, pd.DataFrame]) -> str:
    """How many training rows break their rule, and how many rules the files have."""
    train, test = tables["train.csv"], tables["test.csv"]
    n_new = len(set(test["rule"]) - set(train["rule"]))
    return (
        f"train: {train['rule_violation'].mean():.1%} of the rows break their rule, one of "
        f"{train['rule'].nunique()}; test: {test['rule'].nunique()} rules, {n_new} of them new"
    )
