"""Look at a table and propose an experiment file for it, ready to run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from auxfold.cli.commands import as_called
from auxfold.cli.options import make_parser
from auxfold.config.experiment import Experiment, load_experiment
from auxfold.data.paths import check_exists
from auxfold.errors import InputError
from auxfold.storage.atomic import write_text

if TYPE_CHECKING:
    from auxfold.evaluation.data_summary import DataSummary

EXAMPLES = """\
  auxfold new-experiment input/sample/train.csv --name first_look
  auxfold new-experiment reviews.csv --main stars --test to_rate.csv
  auxfold new-experiment tickets.csv --main Queue --text Subject --text Body --id "Ticket ID"
"""
NEXT_STEPS = """\
    auxfold train --config {path} --fold 0 --dry-run
    auxfold make-folds --config {path}
    auxfold train --config {path} --fold all
    auxfold evaluate --config {path}
    auxfold inference --config {path}{input}"""


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    check_exists(args.table)
    for path in (args.test, args.sample):
        if path:
            check_exists(path)
    if args.name or args.output:
        output_path(args, args.name or "")  # refused before anything slow is imported
    from auxfold.data.files import describe_format
    from auxfold.quickstart.description import describe_profile
    from auxfold.quickstart.profile import Requests
    from auxfold.quickstart.proposal import propose_experiment, suggest_name

    name = args.name or suggest_name(args.table)
    output = output_path(args, name)
    requests = Requests(args.main, args.text, args.id)
    options = {"encoding": args.encoding, "separator": args.separator}
    text, profile = propose_experiment(
        args.table, name, args.test, requests, args.sample, **options
    )
    experiment, summary = write_checked(output, text)
    for line in describe_format(args.table, **options):
        print(line)
    print(describe_profile(profile))
    for line in summary.warnings():
        print(f"warning: {line}")
    print(f"\nwritten: {output}; read through it, then\n")
    predictions = f" --input {args.table} --output outputs/{name}/predictions.csv"
    source = "" if experiment.data.test else f"{predictions}  # or another table"
    print(as_called(NEXT_STEPS.format(path=output, input=source)))


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser("new-experiment", __doc__, EXAMPLES)
    parser.add_argument("table", metavar="FILE", help="csv, tsv, parquet, jsonl, xlsx (.gz, .zip)")
    parser.add_argument(
        "--test", metavar="F", help="table to predict (default: test.* next to FILE)"
    )
    parser.add_argument(
        "--sample",
        metavar="F",
        help="sample submission (default: sample_submission.* next to FILE)",
    )
    parser.add_argument(
        "--main",
        metavar="COLUMN",
        action="append",
        default=[],
        help="the column that matters; repeated, the columns of one task (default: guessed)",
    )
    parser.add_argument(
        "--text",
        metavar="COLUMN",
        action="append",
        default=[],
        help="the text; given twice, both texts of a pair (default: guessed)",
    )
    parser.add_argument(
        "--id", metavar="COLUMN", help="the id; '' numbers the rows (default: guessed)"
    )
    parser.add_argument(
        "--encoding", metavar="E", help="of FILE, such as cp1252 (default: detected)"
    )
    parser.add_argument(
        "--separator", metavar="S", help="between the columns of FILE (default: detected)"
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


def write_checked(output: Path, text: str) -> tuple[Experiment, DataSummary]:
    """Write an experiment file, once the rows that it names can be trained on.

    Returns:
        The experiment, and what its rows are like.

    Raises:
        InputError: they cannot; nothing is written.
    """
    from auxfold.data.learned_tags import learn_tags
    from auxfold.evaluation.data_summary import summarize_data
    from auxfold.tasks import TaskSet
    from auxfold.training.split import load_training_table

    draft = output.with_name(f".{output.name}.draft")
    write_text(draft, text)
    try:
        experiment = learn_tags(load_experiment(draft))
        tasks = TaskSet.from_experiment(experiment)
        table = load_training_table(experiment, tasks, store=False)
        draft.rename(output)
    finally:
        draft.unlink(missing_ok=True)
    return experiment, summarize_data(experiment, tasks, table)
