"""Ours beside the peers.

kinds:
  tfidf   out-of-fold scores of TF-IDF + logistic (ridge) regression on the experiment's folds
  bias    seconds of the bias metric beside the competition kernel's way, on generated rows
"""

import json

from auxfold.cli.options import experiment_from, parser, run
from auxfold.evaluation.baseline import tfidf_out_of_fold
from auxfold.evaluation.cross_validation import held_out, out_of_fold_scores
from auxfold.report.page import cv_table
from auxfold.tasks import make_tasks, selection_metric
from auxfold.training.split import create_folds
from benchmarks.bias import compare_bias

EXAMPLES = """\
  python scripts/benchmark.py tfidf --config configs/jigsaw_2018.toml
  python scripts/benchmark.py bias
"""


def main() -> None:
    arguments = parser(__doc__, EXAMPLES)
    arguments.add_argument("kind", choices=["tfidf", "bias"], help="what to compare with")
    arguments.add_argument("--json", action="store_true", help="print one JSON object")
    given = arguments.parse_args()
    if given.kind == "bias":
        told = compare_bias()
        lines = "\n".join(f"{name:16} {value:,.6g}" for name, value in told.items())
        print(json.dumps(told) if given.json else lines)
        return
    experiment = experiment_from(given)
    table, folds = create_folds(experiment)
    oof = tfidf_out_of_fold(make_tasks(experiment), table, folds)[folds >= 0]
    table, folds = held_out(table, folds)
    scores = out_of_fold_scores(experiment, table, oof, folds)
    scores["main"] = selection_metric(experiment)
    print(json.dumps(scores, allow_nan=False) if given.json else cv_table(scores))


if __name__ == "__main__":
    run(main)
