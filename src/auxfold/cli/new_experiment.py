"""Look at a table and propose an experiment file for it, ready to run."""

from __future__ import annotations

import argparse
from pathlib import Path

from auxfold.cli.commands import as_called
from auxfold.cli.options import make_parser
from auxfold.config.experiment import load_experiment
from auxfold.data.paths import check_exists
from auxfold.errors import InputError
from auxfold.storage.atomic import write_text

EXAMPLES = """\
  auxfold new-experiment input/sample/train.csv --name first_look
  auxfold new-experiment reviews.csv --main stars --test to_rate.csv
  auxfold new-experiment train.jsonl.gz --name mine --output configs/mine.toml
"""
NEXT_STEPS = """\
    auxfold train --config {path} --fold 0 --dry-run
    auxfold make-folds --config {path}
    auxfold train --config {path} --fold all
    auxfold evaluate --config {path}"""


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    check_exists(args.table)
    if args.test:
        check_exists(args.test)
    if args.name or args.output:
        output_path(args, args.name or "")  # refused before anything slow is imported
    from auxfold.quickstart.description import describe_profile
    from auxfold.quickstart.proposal import propose_experiment, suggest_name

    name = args.name or suggest_name(args.table)
    output = output_path(args, name)
    text, profile = propose_experiment(args.table, name, args.test, args.main)
    write_checked(output, text)
    print(describe_profile(profile))
    print(f"\nwritten: {output}; read through it, then\n")
    print(as_called(NEXT_STEPS.format(path=output)))


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser("new-experiment", __doc__, EXAMPLES)
    parser.add_argument("table", metavar="FILE", help="csv, tsv, parquet or jsonl (.gz, .zip)")
    parser.add_argument(
        "--test", metavar="F", help="table to predict (default: test.* next to FILE)"
    )
    parser.add_argument(
        "--main", metavar="COLUMN", help="the column that matters (default: guessed)"
    )
    parser.add_argument("--name", help="of the experiment (default: from FILE)")
    parser.add_argument("--output", metavar="F", help="default: configs/<name>.toml")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    return parser.parse_args(argv)


def output_path(args: argparse.Namespace, name: str) -> Path:
    """Where the experiment file goes.

    Raises:
        InputError: there is a file already.
    """
    output = Path(args.output or f"configs/{name}.toml")
    if output.exists() and not args.overwrite:
        raise InputError(f"{output} exists; give --overwrite, or another --name or --output")
    return output


def write_checked(output: Path, text: str) -> None:
    """Write an experiment file, once the rows that it names can be trained on.

    Raises:
        InputError: they cannot; nothing is written.
    """
    from auxfold.training.split import load_training_table

    draft = output.with_name(f".{output.name}.draft")
    write_text(draft, text)
    try:
        load_training_table(load_experiment(draft))
        draft.rename(output)
    finally:
        draft.unlink(missing_ok=True)
