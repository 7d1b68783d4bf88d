"""Download public data sets into input/, in the columns that the configs read, and check them."""

from __future__ import annotations

import argparse
from pathlib import Path

from auxfold.cli.commands import as_called
from auxfold.cli.options import make_parser
from auxfold.datasets.registry import DATASETS, DatasetSpec, KaggleDataset, get_dataset

INPUT = Path("input")
EPILOG = """data sets:
{datasets}

Files that are there already are checked and kept. Kaggle wants an API token
(KAGGLE_API_TOKEN or ~/.kaggle/access_token) and accepted rules.

"""
EXAMPLES = """\
  auxfold get-data jigsaw-2018
  auxfold get-data stsb goemotions
  auxfold get-data civil_comments --output /data --overwrite
"""


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    for dataset in [get_dataset(name) for name in dict.fromkeys(args.names)]:
        download_dataset(dataset, args.output, args.overwrite)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    epilog = EPILOG.format(datasets="\n".join(map(describe_dataset, DATASETS)))
    parser = make_parser("get-data", __doc__, EXAMPLES, epilog)
    parser.add_argument("names", nargs="+", metavar="NAME", help="a data set, see below")
    parser.add_argument(
        "--output", type=Path, default=INPUT, help=f"folder to write to (default: {INPUT})"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="download again what is there already"
    )
    return parser.parse_args(argv)


def describe_dataset(name: str) -> str:
    """One line of the help."""
    dataset = DATASETS[name]
    is_kaggle = isinstance(dataset, KaggleDataset)
    origin = "Kaggle, account" if is_kaggle else "Hugging Face, no account"
    return f"  {name:15s} {dataset.files[0].rows:>9,} rows to train on ({origin})"


def download_dataset(dataset: DatasetSpec, output: Path, overwrite: bool) -> None:
    """Download one data set; say where its files are and what reads them."""
    from auxfold.datasets.download import download

    for file, path, is_new in download(dataset, output, overwrite):
        size = path.stat().st_size / 1e6
        note = "" if is_new else ", there already"
        print(f"{path}: {file.rows:,} rows, {size:.1f} MB{note}", flush=True)
    # The configs name files below input/.
    if output == INPUT and dataset.config and Path(dataset.config).is_file():
        print(f"next: {as_called(f'auxfold make-folds --config {dataset.config}')}")
