"""List rows with equal or near-equal texts by their ids: in several folds, and in the test file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from auxfold.cli.experiment_options import (
    add_experiment_options,
    add_verify,
    check_training_files,
    print_json,
    read_experiment,
)
from auxfold.cli.options import make_parser
from auxfold.config import Folds
from auxfold.config.experiment import Experiment
from auxfold.config.folds import NEAR_EQUAL
from auxfold.data.paths import check_exists
from auxfold.errors import InputError, list_first
from auxfold.storage.run_folder import RunFolder

if TYPE_CHECKING:
    from auxfold.evaluation.duplicate_report import DuplicateGroup, DuplicateReport

EXAMPLES = """\
  auxfold find-duplicates --config configs/jigsaw_2018.toml
  auxfold find-duplicates --run jigsaw_2018 --similarity 0.9 --json
  auxfold find-duplicates --config configs/sample.toml --test input/sample/test.csv
"""
SHOWN_GROUPS = 20
SHOWN_IDS = 10  # of a group


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    if args.similarity is not None:
        check_similarity(args.similarity)
    experiment = read_experiment(args, as_json=args.json)
    check_training_files(experiment)
    test_path = find_test_file(args, experiment)
    from auxfold.data.loading import read_prediction_table
    from auxfold.evaluation.duplicate_report import report_duplicates
    from auxfold.training.split import load_training_table, stored_folds

    table = load_training_table(experiment, verify=args.verify)
    has_folds = RunFolder.of(experiment).folds_info.is_file()
    report = report_duplicates(
        table,
        args.similarity or experiment.folds.group_near_duplicates or NEAR_EQUAL,
        stored_folds(experiment, table) if has_folds else None,
        None if test_path is None else read_prediction_table(experiment, test_path),
    )
    if args.json:
        print_json(args, experiment, report.to_dict())
    else:
        print("\n".join(describe_report(report)))


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser("find-duplicates", __doc__, EXAMPLES)
    add_experiment_options(parser)
    parser.add_argument(
        "--similarity",
        type=float,
        metavar="S",
        help="the Jaccard similarity of five-character shingles from which texts are near-equal "
        f"(default: folds.group_near_duplicates, else {NEAR_EQUAL})",
    )
    parser.add_argument(
        "--test", metavar="FILE", help="table to compare with (default: data.test, if it exists)"
    )
    add_verify(parser)
    parser.add_argument("--json", action="store_true", help="print all groups as one JSON object")
    return parser.parse_args(argv)


def check_similarity(similarity: float) -> None:
    """Refuse a similarity that the experiment file would refuse, too."""
    try:
        Folds(group_near_duplicates=similarity)
    except ValueError:
        raise InputError(
            f"--similarity {similarity:g}: a number from 0.6 up to, but without, 1"
        ) from None


def find_test_file(args: argparse.Namespace, experiment: Experiment) -> str | None:
    """The file of ``--test``, else that of ``data.test``; None where this is not there.

    Raises:
        InputError: there is no file of ``--test``.
    """
    if args.test is not None:
        check_exists(args.test)
        return str(args.test)
    path = experiment.data.test
    return path if path is not None and Path(path).is_file() else None


def describe_report(report: DuplicateReport) -> list[str]:
    """The counts, and the largest groups by their ids."""
    lines = [
        f"{report.rows_in_groups:,} of {report.rows:,} rows of {report.path} have an equal or "
        f"near-equal text (Jaccard similarity {report.similarity:g})"
    ]
    if report.rows_across_folds is not None:
        lines.append(f"{report.rows_across_folds:,} rows are in groups that several folds share")
    if report.test_rows_in_groups is not None:
        lines.append(
            f"{report.test_rows_in_groups:,} of {report.test_rows:,} rows of {report.test_path} "
            f"are equal or near-equal to rows of training"
        )
    lines += [describe_group(group) for group in report.groups[:SHOWN_GROUPS]]
    if len(report.groups) > SHOWN_GROUPS:
        lines.append(f"{SHOWN_GROUPS} of {len(report.groups):,} groups; --json prints all of them")
    return lines


def describe_group(group: DuplicateGroup) -> str:
    """One line: how many different texts, which rows, which folds, and which rows of the test."""
    texts = "equal texts" if group.n_texts == 1 else f"{group.n_texts:,} different texts"
    folds = "" if group.folds is None else f", folds {', '.join(map(str, sorted({*group.folds})))}"
    test = f"; test: {list_first(group.test_ids, SHOWN_IDS)}" if group.test_ids else ""
    return f"  {texts}{folds}: {list_first(group.ids, SHOWN_IDS)}{test}"
