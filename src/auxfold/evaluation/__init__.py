"""Scores: of rows, of all folds out of fold, of prediction files, of variants, of baselines.

- :mod:`~auxfold.evaluation.scores`: all metrics of some rows of the training table.
- :mod:`~auxfold.evaluation.cross_validation`: the out-of-fold scores of a run.
- :mod:`~auxfold.evaluation.fold_ensemble`: the fold ensemble against single folds on test rows.
- :mod:`~auxfold.evaluation.labeled_predictions`: a prediction file joined to a label file by id,
  scored by :mod:`~auxfold.evaluation.prediction_scores`, by identity in
  :mod:`~auxfold.evaluation.bias`, and ranked in :mod:`~auxfold.evaluation.leaderboards`.
- :mod:`~auxfold.evaluation.comparison`: variants of one experiment, pair by pair;
  :mod:`~auxfold.evaluation.ablation` has the variants that leave out auxiliary targets.
- :mod:`~auxfold.evaluation.intervals`: how certain scores are, by :mod:`~auxfold.evaluation.delong`
  or :mod:`~auxfold.evaluation.bootstrap`; :mod:`~auxfold.evaluation.fold_ranks` has the scores
  that folds of different scales do not mislead, and :mod:`~auxfold.evaluation.score_notes` says so.
- :mod:`~auxfold.evaluation.baseline`: TF-IDF with linear models on the same folds;
  :mod:`~auxfold.evaluation.baseline_record` compares a run with it.
"""
