"""The bias metric of a prediction file on any table with labels and identities, or with texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from auxfold.config.experiment import Experiment
from auxfold.data.cells import identities_of
from auxfold.errors import InputError, nearest
from auxfold.evaluation.released_labels import LabeledPredictions, released_labels
from auxfold.fairness.identity_terms import read_terms, term_flags
from auxfold.fairness.jigsaw_bias import Bias, jigsaw_bias
from auxfold.tasks import main_slice


def bias_of_pair(
    pair: LabeledPredictions,
    experiment: Experiment,
    terms: str | None = None,
    identities: Sequence[str] | None = None,
) -> Bias:
    """How the main column's predictions fare by identity.

    Args:
        pair: labels and predictions of the same rows.
        experiment: names the main column, and in ``[identities]`` those of the label file.
        terms: a list of identity terms, to be found in the label file's texts instead.
        identities: columns of the label file instead of the experiment's.

    Raises:
        InputError: a main task that is not binary, a column that is not there, no identities.
    """
    task, _ = main_slice(experiment)
    column = task.settings.columns[0]
    if task.settings.kind != "binary":
        raise InputError(f"bias is measured of a binary main task; {task.name} is another kind")
    for path, frame in ((pair.labels_path, pair.labels), (pair.predictions_path, pair.predictions)):
        _check_there(frame, [column], path, "see --rename")
    truth = released_labels(task, column, pair.labels, pair.labels_path)
    scores = pair.numbers([column])[:, 0]
    if terms is None:
        names = list(identities or experiment.identities.columns)
        flags = _columns(pair, names)
    else:
        found = read_terms(terms)
        names, flags = list(found), term_flags(_texts(pair, experiment), found)
    return jigsaw_bias(truth, scores, flags, names)


def _columns(pair: LabeledPredictions, names: list[str]) -> np.ndarray:
    if not names:
        raise InputError(
            "no identities: name their columns in [identities], or give --identity-terms FILE"
        )
    _check_there(pair.labels, names, pair.labels_path, "or give --identity-terms FILE")
    return identities_of(pair.labels, names, pair.labels_path)


def _texts(pair: LabeledPredictions, experiment: Experiment) -> list[list[str]]:
    columns = experiment.data.text_columns
    _check_there(pair.labels, columns, pair.labels_path, "see --rename")
    return [pair.labels[column].tolist() for column in columns]


def _check_there(frame: pd.DataFrame, columns: list[str], path: str, hint: str) -> None:
    for column in columns:
        if column not in frame.columns:
            raise InputError(
                f"{path} has no column {column!r}{nearest(column, list(frame.columns))}; {hint}"
            )
