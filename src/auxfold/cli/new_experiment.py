"""Look at a table and propose an experiment file for it, ready to run."""

import argparse
from pathlib import Path

from auxfold.config.experiment import load_experiment
from auxfold.errors import InputError
from auxfold.quickstart.profile import Profile
from auxfold.quickstart.proposal import name_for, propose
from auxfold.storage.atomic import write_text
from auxfold.training.split import load_training_table

EXAMPLES = """examples:
  python scripts/new_experiment.py input/sample/train.csv --name first_look
  python scripts/new_experiment.py reviews.csv --main stars --test to_rate.csv
  python scripts/new_experiment.py train.jsonl.gz --name mine --output configs/mine.toml
"""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("table", metavar="FILE", help="csv, tsv, parquet or jsonl (.gz, .zip)")
    parser.add_argument(
        "--test", metavar="F", help="table to predict (default: test.* beside FILE)"
    )
    parser.add_argument(
        "--main", metavar="COLUMN", help="the column that matters (default: guessed)"
    )
    parser.add_argument("--name", help="of the experiment (default: from FILE)")
    parser.add_argument("--output", metavar="F", help="default: configs/<name>.toml")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    return parser.parse_args()


def main() -> None:
    """Propose, check that it runs, write, and say what comes next."""
    given = arguments()
    name = given.name or name_for(given.table)
    output = Path(given.output or f"configs/{name}.toml")
    if output.exists() and not given.overwrite:
        raise InputError(f"{output} exists; give --overwrite, or another --name or --output")
    text, profile = propose(given.table, name, given.test, given.main)
    draft = output.with_name(f".{output.name}.draft")
    write_text(draft, text)
    try:
        load_training_table(load_experiment(draft))  # a proposal that cannot run is none
        draft.rename(output)
    finally:
        draft.unlink(missing_ok=True)
    print(told(profile))
    print(f"\nwritten: {output}; look it over, then\n")
    for line in (
        f"python scripts/train.py --config {output} --fold 0 --dry-run",
        f"python scripts/make_folds.py --config {output}",
        f"python scripts/train.py --config {output} --fold all",
        f"python scripts/evaluate.py --config {output}",
    ):
        print(f"    {line}")


def told(profile: Profile) -> str:
    """Every column with its role."""
    roles = [(name, "text") for name in profile.texts]
    roles += [(profile.id, "id")] if profile.id else []
    roles += [(c.name, f"main, {c.kind()}: {c.described()}") for c in profile.main]
    for group, columns in profile.groups.items():
        roles += [(c.name, f"auxiliary ({group}), {c.kind()}: {c.described()}") for c in columns]
    roles += [(c.name, f"possible task, {c.kind()}: {c.described()}") for c in profile.others]
    roles += [(name, "possible group") for name in profile.repeated]
    roles += [(name, f"not used: {reason}") for name, reason in profile.unused.items()]
    width = max(len(name) for name, _ in roles)
    head = f"{profile.rows:,} rows"
    return "\n".join([head, *(f"  {name:{width}}  {role}" for name, role in roles)])
