#!/usr/bin/env bash
# Makes the environment, then runs the linter and the whole test suite.
#   bash scripts/test.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/environment.sh requirements-dev.txt
export HF_HUB_OFFLINE=1 WANDB_MODE=offline
.venv/bin/ruff check .
.venv/bin/python -m pytest "$@"
