#!/usr/bin/env bash
# Makes the environment, then runs the linter and the whole test suite, in two processes.
#   bash scripts/test.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/environment.sh requirements-dev.txt
export HF_HUB_OFFLINE=1 WANDB_MODE=offline
.venv/bin/ruff check .
# A thread each: most tests start scripts on tiny models, and two cores are shared.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
.venv/bin/python -m pytest -n 2 --dist loadfile "$@"
