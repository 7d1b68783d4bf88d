"""One trial of a W&B sweep: every fold with the trial's settings, and its out-of-fold scores."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from auxfold.cli.options import experiment_from, parser, wait_for

EXAMPLES = """\
  wandb sweep --project my-competition configs/sweep.yaml
  wandb agent YOU/my-competition/SWEEP
"""
SCRIPTS = Path(__file__).resolve().parent
# What ties a process to the sweep's run; the folds have runs of their own.
SWEEP_VARIABLES = ("WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH", "WANDB_RESUME")


def main() -> None:
    given = parser(__doc__, EXAMPLES).parse_args()
    experiment = experiment_from(given)
    import wandb  # here a missing wandb is an error: without it there is no sweep

    with wandb.init(job_type="sweep") as trial:
        name = f"{experiment.name}-{trial.id}"
        settings = [*given.set, *overrides(dict(trial.config)), f"name={name}"]
        settings += [f"data.rows={given.rows}"] if given.rows else []
        scores = run_trial(given.config, settings)
        trial.log({f"oof/{metric}": value for metric, value in scores.items() if value is not None})
        trial.summary["experiment"] = name


def overrides(config: dict[str, Any], prefix: str = "") -> list[str]:
    """The sweep's nested parameters as ``key.path=value``."""
    made = []
    for key, value in config.items():
        if isinstance(value, dict):
            made += overrides(value, f"{prefix}{key}.")
        else:
            made.append(f"{prefix}{key}={json.dumps(value)}")
    return made


def run_trial(config: str, settings: list[str]) -> dict[str, float | None]:
    """Folds, training and evaluation of one experiment; its out-of-fold scores."""
    common = ["--config", config, *(part for setting in settings for part in ("--set", setting))]
    environment = {k: v for k, v in os.environ.items() if k not in SWEEP_VARIABLES}
    answer = ""
    for name, options in (
        ("make_folds", []), ("train", ["--fold", "all", "--resume"]), ("evaluate", ["--json"]),
    ):  # fmt: skip
        command = [sys.executable, str(SCRIPTS / f"{name}.py"), *common, *options]
        if name == "evaluate":
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
            code, answer = done.returncode, done.stdout
        else:
            code = wait_for(subprocess.Popen(command, env=environment))
        if code:
            sys.exit(code)
    return json.loads(answer)
