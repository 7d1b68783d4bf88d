#!/usr/bin/env bash
# Makes the environment, then runs the linter, the type checker and the whole test suite, in two
# processes.
#   bash scripts/test.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/environment.sh requirements-dev.txt
export HF_HUB_OFFLINE=1 WANDB_MODE=offline
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
# One thread each: most tests run scripts on tiny models, and the two processes share the cores.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
# A test that starts a process would wait for it to compile all modules again.
unset PYTHONDONTWRITEBYTECODE
.venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"
