"""Ours beside the peers, on the rows and folds of an experiment.

kinds:
  tfidf   out-of-fold scores of TF-IDF + logistic (ridge) regression on the same folds
"""

import json

from auxfold.command import experiment_from, parser, run
from auxfold.scoring.baseline import tfidf_out_of_fold
from auxfold.scoring.cross_validation import held_out, out_of_fold_scores
from auxfold.scoring.report import cv_table
from auxfold.tasks import make_tasks, selection_metric
from auxfold.training.rows import create_folds

EXAMPLES = """\
  python scripts/benchmark.py tfidf --config configs/jigsaw_2018.toml
"""


def main() -> None:
    arguments = parser(__doc__, EXAMPLES)
    arguments.add_argument("kind", choices=["tfidf"], help="what to compare with")
    arguments.add_argument("--json", action="store_true", help="print one JSON object")
    given = arguments.parse_args()
    experiment = experiment_from(given)
    table, folds = create_folds(experiment)
    tasks = make_tasks(experiment)
    oof = tfidf_out_of_fold(tasks, table, folds)
    oof = oof[folds >= 0]
    table, folds = held_out(table, folds)
    scores = out_of_fold_scores(tasks, table.labels, oof, folds)
    scores["main"] = selection_metric(experiment)
    print(json.dumps(scores, allow_nan=False) if given.json else cv_table(scores))


if __name__ == "__main__":
    run(main)
