"""Download public data sets into input/, in the columns that the configs read, and check them."""

from __future__ import annotations

import argparse
from pathlib import Path

from auxfold.datasets.download import download
from auxfold.datasets.sources import SOURCES, KaggleSource, Source, source_named

INPUT = Path("input")
EXAMPLES = """data sets:
{sources}

Files that are there already are checked and kept. Kaggle wants an API token
(KAGGLE_API_TOKEN or ~/.kaggle/access_token) and accepted rules.

examples:
  python scripts/get_data.py jigsaw-2018
  python scripts/get_data.py stsb goemotions
  python scripts/get_data.py civil_comments --output /data --overwrite
"""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EXAMPLES.format(sources="\n".join(map(described, SOURCES))),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="a data set, see below")
    parser.add_argument(
        "--output", type=Path, default=INPUT, help=f"folder to write to (default: {INPUT})"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="download anew what is there already"
    )
    return parser.parse_args()


def described(name: str) -> str:
    """One line of the help."""
    source = SOURCES[name]
    where = "Kaggle, account" if isinstance(source, KaggleSource) else "Hugging Face, no account"
    return f"  {name:15s} {source.files[0].rows:>9,} rows to train on ({where})"


def get(source: Source, output: Path, overwrite: bool) -> None:
    """Download one data set; say what is where and what reads it."""
    for file, path, new in download(source, output, overwrite):
        size = path.stat().st_size / 1e6
        kept = "" if new else ", there already"
        print(f"{path}: {file.rows:,} rows, {size:.1f} MB{kept}", flush=True)
    # The configs name files below input/.
    if output == INPUT and source.config and Path(source.config).is_file():
        print(f"next: python scripts/make_folds.py --config {source.config}")


def main() -> None:
    """Download every data set that was named."""
    given = arguments()
    for source in [source_named(name) for name in dict.fromkeys(given.names)]:
        get(source, given.output, given.overwrite)
