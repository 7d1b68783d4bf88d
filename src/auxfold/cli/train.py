"""Train one fold, every fold (one process each), or one model on all rows."""

import subprocess
import sys

from auxfold.cli.options import experiment_from, parser, wait_for
from auxfold.errors import InputError
from auxfold.storage.run_folder import FULL

EXAMPLES = """\
  python scripts/train.py --config configs/jigsaw_2019.toml --fold 0
  python scripts/train.py --config configs/sample.toml --fold all --resume
  python scripts/train.py --config configs/sample.toml --fold full
  python scripts/train.py --config configs/sample.toml --fold 0 --dry-run
  accelerate launch scripts/train.py --config configs/jigsaw_2019.toml --fold 0
"""


def main() -> None:
    arguments = parser(__doc__, EXAMPLES)
    arguments.add_argument("--fold", required=True, help="a number from 0, 'all' or 'full'")
    arguments.add_argument("--resume", action="store_true", help="continue where it stopped")
    arguments.add_argument("--overwrite", action="store_true", help="train a finished fold anew")
    help_text = "say what would happen, with steps, memory and time; write nothing"
    arguments.add_argument("--dry-run", action="store_true", help=help_text)
    given = arguments.parse_args()
    if given.resume and given.overwrite:
        raise InputError("--resume and --overwrite contradict each other; give one")
    experiment = experiment_from(given)
    if given.fold not in ("all", FULL) and not given.fold.isdecimal():
        raise InputError(f"--fold {given.fold}: a number from 0, 'all' or 'full'")
    if given.dry_run:
        from auxfold.training.dry_run import n_folds_of, plan_fold

        print(plan_fold(experiment, *n_folds_of(experiment, given.fold)))
        return
    if given.fold == "all":
        train_all(len(experiment.folds.names))
        return
    from auxfold.training.fold import train_fold

    fold = FULL if given.fold == FULL else int(given.fold)
    folder = train_fold(experiment, fold, given.resume, given.overwrite)
    print(f"fold folder: {folder.path}")


def train_all(n_splits: int) -> None:
    """Each fold in a process of its own, so that none inherits another's state."""
    place = sys.argv.index("all") if "all" in sys.argv else None
    for fold in range(n_splits):
        command = list(sys.argv)
        if place is None:
            command = [a.replace("--fold=all", f"--fold={fold}") for a in command]
        else:
            command[place] = str(fold)
        code = wait_for(subprocess.Popen([sys.executable, *command]))
        if code:
            sys.exit(code)
