"""Schemes for row weights: how much each row counts in the loss of the main task.

Two schemes weight by identities. "Toxic" is a main label of at least 0.5, and "an identity" is any
identity of at least 0.5. A row without annotations mentions no identity, as in the public kernels
of the competition. The weights of the four cells are:

| | no identity | an identity |
| --- | --- | --- |
| not toxic | 0.25 | 0.75 |
| toxic | 0.5 | 0.5 (``identity_strict``), 0.75 (``identity_public_kernel``) |
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from auxfold.config.experiment import Experiment
from auxfold.data.cells import parse_counts, parse_weights


def identity_strict(toxic: np.ndarray, mentions: np.ndarray) -> np.ndarray:
    """A quarter for every part of the metric of Jigsaw 2019 that a row is in.

    All rows are in the overall AUC, rows with an identity are in its subgroup, toxic rows without
    any identity are background positives, and non-toxic rows with one are subgroup negatives. The
    second place of that competition used these weights.

    Args:
        toxic: ``(rows,)`` bool.
        mentions: ``(rows, identities)`` bool.

    Returns:
        ``(rows,)`` float64 weights.
    """
    any_identity = mentions.any(axis=1)
    parts = 1.0 + any_identity + (toxic & ~any_identity) + (~toxic & any_identity)
    return parts / 4


def identity_public_kernel(toxic: np.ndarray, mentions: np.ndarray) -> np.ndarray:
    """Like ``identity_strict``, but "without any identity" means "some identity is below 0.5".

    That is true for every row that does not mention all identities at once, so toxic rows with an
    identity get a quarter more. A public kernel of that competition and its third and seventh
    places used this formula. Arguments and result are those of ``identity_strict``.
    """
    any_identity, any_missing = mentions.any(axis=1), (~mentions).any(axis=1)
    parts = 1.0 + any_identity + (toxic & any_missing) + (~toxic & any_identity)
    return parts / 4


def annotators(counts: np.ndarray) -> np.ndarray:
    """``(rows,)`` log(annotators + 2), which the third place of Jigsaw 2019 used.

    A row with an unknown count (NaN) gets the mean weight of the others.

    Args:
        counts: ``(rows,)`` numbers of annotators, NaN where unknown.
    """
    weights = np.log(counts + 2)
    known = ~np.isnan(weights)
    return np.where(known, weights, weights[known].mean() if known.any() else 1.0)


def scheme_weights(
    experiment: Experiment,
    labels: np.ndarray,
    identities: np.ndarray,
    files: list[tuple[pd.DataFrame, str]],
) -> np.ndarray:
    """``(rows,)`` the product of the schemes of ``[sample_weights]``.

    Args:
        experiment: names the schemes.
        labels: ``(rows, columns)`` as in ``Table.labels``.
        identities: ``(rows, identities)``, NaN where not annotated.
        files: the cells of the rows, in order, with the paths of their files; schemes may name
            columns of them.

    Raises:
        InputError: a cell is not a weight or not a count.
    """
    settings, main = experiment.sample_weights, experiment.main_task
    label = labels[:, experiment.label_columns.index(main.label_columns[0])]
    toxic, mentions = label >= 0.5, identities >= 0.5

    def parse(parser: Callable, column: str | None) -> np.ndarray:
        return np.concatenate([parser(frame, column, path) for frame, path in files])

    schemes = {
        "identity_strict": lambda: identity_strict(toxic, mentions),
        "identity_public_kernel": lambda: identity_public_kernel(toxic, mentions),
        "annotators": lambda: annotators(parse(parse_counts, settings.annotators)),
        "column": lambda: parse(parse_weights, settings.column),
    }
    weights = np.prod([schemes[name]() for name in settings.scheme], axis=0)
    mean = weights[~np.isnan(label)].mean()
    return weights / mean if settings.scale_to_mean_one and mean > 0 else weights
