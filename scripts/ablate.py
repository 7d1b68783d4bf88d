"""Does each auxiliary target help? Trains with all, without each and with none, and compares."""

import subprocess
import sys
from pathlib import Path

from auxfold.command import experiment_from, parse_folds, parser, run
from auxfold.errors import InputError
from auxfold.experiment import Experiment
from auxfold.run_folder import FULL, RunFolder
from auxfold.scoring.ablation import ablation_table, collect, run_name, variants
from auxfold.scoring.plots import plot_ablation
from auxfold.whole_files import write_json, write_text

EXAMPLES = """\
  python scripts/ablate.py --config configs/sample.toml
  python scripts/ablate.py --config configs/jigsaw_2018.toml --seeds 42,1,2 --folds 0,1
  python scripts/ablate.py --config configs/sample.toml --by column --rows 500
"""
SCRIPTS = Path(__file__).resolve().parent


def main() -> None:
    arguments = parser(__doc__, EXAMPLES)
    arguments.add_argument("--seeds", help="e.g. 42,1,2 (default: the experiment's)")
    arguments.add_argument("--folds", help="e.g. 0,1 (default: all)")
    help_text = "leave out whole tasks (default) or single columns"
    arguments.add_argument("--by", choices=["task", "column"], default="task", help=help_text)
    given = arguments.parse_args()
    experiment = experiment_from(given)
    folds = parse_folds(given.folds) or list(experiment.folds.names)
    if FULL in folds:
        raise InputError("--folds full: without held-out rows there is nothing to compare")
    seeds = parse_seeds(given.seeds) or [experiment.seed]
    chosen = variants(experiment, by_column=given.by == "column")
    n_runs = len(chosen) * len(seeds) * len(folds)
    print(f"{len(chosen)} variants, {len(seeds)} seeds, {len(folds)} folds: {n_runs} trainings")
    for seed in seeds:
        for variant, changes in chosen.items():
            train(given, experiment, variant, [*changes, f"seed={seed}"], folds, seed)
    record = collect(experiment, chosen, seeds, folds)
    folder = RunFolder.of(experiment)
    write_json(folder.ablation, record)
    write_text(folder.ablation.with_suffix(".svg"), plot_ablation(record).svg)
    print(ablation_table(record))
    print(f"scores: {folder.ablation}\nplot: {folder.ablation.with_suffix('.svg')}")


def parse_seeds(text: str | None) -> list[int]:
    """``"42,1"`` to ``[42, 1]``."""
    parts = [part.strip() for part in (text or "").split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"--seeds {text}: numbers separated by commas")
    return [int(part) for part in dict.fromkeys(parts)]


def train(
    given: object,
    experiment: Experiment,
    variant: str,
    changes: list[str],
    folds: list[int],
    seed: int,
) -> None:
    """Every fold of one variant, each in a process of its own; what is finished is kept."""
    split = experiment.folds.seed if experiment.folds.seed is not None else experiment.seed
    settings = [*given.set, *changes, f"folds.seed={split}"]
    settings += [f"name={run_name(experiment, variant, seed)}"]
    settings += [f"data.rows={given.rows}"] if given.rows else []
    common = ["--config", given.config, *(part for s in settings for part in ("--set", s))]
    steps = [("make_folds", [])]
    steps += [("train", ["--fold", str(fold), "--resume"]) for fold in folds]
    for name, options in steps:
        command = [sys.executable, str(SCRIPTS / f"{name}.py"), *common, *options]
        code = subprocess.run(command).returncode
        if code:
            sys.exit(code)


if __name__ == "__main__":
    run(main)
