"""One trial of a W&B sweep: every fold with the trial's settings, and its out-of-fold scores."""

from __future__ import annotations

import json
import os
from typing import Any

from auxfold.cli.experiment_options import (
    add_experiment_options,
    check_training_files,
    experiment_arguments,
    read_experiment,
)
from auxfold.cli.options import make_parser
from auxfold.cli.processes import call_command
from auxfold.errors import InputError
from auxfold.storage.checksums import read_json_checked
from auxfold.storage.run_folder import RunFolder
from auxfold.tracking.mode import describe_switch, wandb_mode

EXAMPLES = """\
  wandb sweep --project my-competition configs/sweep.yaml
  wandb agent YOU/my-competition/SWEEP
"""
# What ties a process to the sweep's run; the folds have runs of their own.
SWEEP_VARIABLES = ("WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH", "WANDB_RESUME")


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = make_parser("sweep", __doc__, EXAMPLES)
    add_experiment_options(parser)
    args = parser.parse_args(argv)
    experiment = read_experiment(args)
    check_training_files(experiment)
    if wandb_mode("auto") == "off":
        raise InputError(f"{describe_switch('online')}; a sweep needs W&B, so remove this switch")
    import wandb  # a missing wandb is an error here: without it there is no sweep

    with wandb.init(job_type="sweep") as trial:
        name = f"{experiment.name}-{trial.id}"
        settings = [*args.set, *list_overrides(dict(trial.config)), f"name={name}"]
        settings += [f"data.rows={args.rows}"] if args.rows else []
        run_trial(experiment_arguments(args, settings))
        scores = read_json_checked(RunFolder.named(name).cross_validation)["oof"]
        trial.log({f"oof/{metric}": value for metric, value in scores.items() if value is not None})
        trial.summary["experiment"] = name


def list_overrides(config: dict[str, Any], prefix: str = "") -> list[str]:
    """The sweep's nested parameters as ``key.path=value``."""
    overrides = []
    for key, value in config.items():
        if isinstance(value, dict):
            overrides += list_overrides(value, f"{prefix}{key}.")
        else:
            overrides.append(f"{prefix}{key}={json.dumps(value)}")
    return overrides


def run_trial(options: list[str]) -> None:
    """Folds, training and evaluation of the experiment of ``options``."""
    environment = {k: v for k, v in os.environ.items() if k not in SWEEP_VARIABLES}
    call_command("make-folds", *options, environment=environment)
    call_command("train", *options, "--fold", "all", "--resume", environment=environment)
    call_command("evaluate", *options, environment=environment)
