#!/usr/bin/env bash
# End to end on a generated competition: environment, folds, five models, scores, submission.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/environment.sh
export HF_HUB_OFFLINE=1 WANDB_MODE=offline
started=$SECONDS

step() {
    echo
    echo "\$ python $*"
    .venv/bin/python "$@"
}

config=configs/sample.toml
[ -f input/sample/test_labels.csv ] || step scripts/make_sample.py
step scripts/make_folds.py --config $config
step scripts/train.py --config $config --fold all --resume
step scripts/inference.py --config $config
step scripts/evaluate.py --config $config
step scripts/evaluate.py --config $config \
    --labels input/sample/test_labels.csv --predictions outputs/sample/submission.csv

echo
echo "done in $((SECONDS - started)) s"
echo "report:     outputs/sample/report.html"
echo "submission: outputs/sample/submission.csv"
