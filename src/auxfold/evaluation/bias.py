"""The bias metric of a prediction file, for any table with labels and identities or texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from auxfold.config.experiment import Experiment
from auxfold.data.cells import parse_identities
from auxfold.errors import InputError, nearest
from auxfold.evaluation.intervals import BIAS_COLUMNS, Sampler
from auxfold.evaluation.labeled_predictions import LabeledPredictions
from auxfold.fairness.identity_terms import flag_terms, read_terms
from auxfold.fairness.jigsaw_bias import Bias, jigsaw_bias
from auxfold.tasks import create_task


@dataclass(frozen=True)
class BiasColumns:
    """What the bias metric of a prediction file is computed from.

    Attributes:
        labels: ``(rows,)``, NaN where not labeled.
        predictions: ``(rows,)``.
        identities: ``(rows, identities)`` in [0, 1], NaN where not annotated.
        names: the identities.
    """

    labels: np.ndarray
    predictions: np.ndarray
    identities: np.ndarray
    names: list[str]

    def bias(self) -> Bias:
        """The metric of all rows, and its parts."""
        return jigsaw_bias(self.labels, self.predictions, self.identities, self.names)

    def interval(self, metric: str) -> dict[str, Any] | None:
        """The 95 % interval of one of :meth:`Bias.metrics`, as in ``cv.json``; None: undefined."""

        def score(indices: np.ndarray, _: dict[str, np.ndarray]) -> float | None:
            labels, predictions = self.labels[indices], self.predictions[indices]
            identities = self.identities[indices]
            return jigsaw_bias(labels, predictions, identities, self.names).metrics()[metric]

        return Sampler(score, np.zeros(len(self.labels), dtype=int), BIAS_COLUMNS).interval({})


def read_bias_columns(
    labeled: LabeledPredictions,
    experiment: Experiment,
    terms_path: str | None = None,
    identities: Sequence[str] | None = None,
) -> BiasColumns:
    """The main column's predictions, its labels and the identities of the rows.

    Args:
        labeled: labels and predictions of the same rows.
        experiment: names the main column, and in ``[identities]`` those of the label file.
        terms_path: a list of identity terms; the identities are then searched for in the label
            file's texts.
        identities: columns of the label file, instead of those of the experiment.

    Raises:
        InputError: a main task that is not binary, a missing column, or no identities.
    """
    task = create_task(experiment.main_task)
    column = task.settings.label_columns[0]
    if not task.has_positive_class:
        raise InputError(f"bias is measured of a binary main task; {task.name} is another kind")
    _check_columns(labeled.labels, [column], labeled.labels_path, "see --rename")
    _check_columns(labeled.predictions, [column], labeled.predictions_path, "see --rename")
    labels = labeled.parse_labels(task, column)
    scores = labeled.parse_predictions([column])[:, 0]
    if terms_path is None:
        names = list(identities or experiment.identities.columns)
        flags = _read_identities(labeled, names)
    else:
        terms = read_terms(terms_path)
        names, flags = list(terms), flag_terms(_read_texts(labeled, experiment), terms)
    return BiasColumns(labels, scores, flags, names)


def _read_identities(labeled: LabeledPredictions, names: list[str]) -> np.ndarray:
    if not names:
        raise InputError(
            "no identities: name their columns in [identities], or give --identity-terms FILE"
        )
    _check_columns(labeled.labels, names, labeled.labels_path, "or give --identity-terms FILE")
    return parse_identities(labeled.labels, names, labeled.labels_path)


def _read_texts(labeled: LabeledPredictions, experiment: Experiment) -> list[list[str]]:
    columns = experiment.data.text_columns
    _check_columns(labeled.labels, columns, labeled.labels_path, "see --rename")
    return [labeled.labels[column].tolist() for column in columns]


def _check_columns(frame: pd.DataFrame, columns: list[str], path: str, advice: str) -> None:
    for column in columns:
        if column not in frame.columns:
            raise InputError(
                f"{path} has no column {column!r}{nearest(column, list(frame.columns))}; {advice}"
            )
