"""Ours beside the peers, on the rows and folds of an experiment.

kinds:
  tfidf   out-of-fold scores of TF-IDF + logistic regression on the same folds
"""

import json

import pandas as pd

from auxfold.command import experiment_from, parser, run
from auxfold.scoring.baseline import tfidf_out_of_fold
from auxfold.scoring.cross_validation import out_of_fold_scores
from auxfold.scoring.report import cv_table
from auxfold.tasks import make_tasks
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
    predictions = tfidf_out_of_fold(table, folds)
    oof = pd.DataFrame(predictions, columns=experiment.label_columns)
    scores = out_of_fold_scores(make_tasks(experiment), table.labels, oof, folds)
    print(json.dumps(scores, allow_nan=False) if given.json else cv_table(scores))


if __name__ == "__main__":
    run(main)
