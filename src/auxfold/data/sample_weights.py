"""Row weights by name: how much each row counts in the main task's loss.

By identities, with "toxic" a main label of at least 0.5 and "identity" any identity of at least
0.5; a row without annotation mentions none, as in the kernels. The weights of the four cells:

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
from auxfold.data.cells import counts_of, weights_of


def identity_strict(toxic: np.ndarray, mentions: np.ndarray) -> np.ndarray:
    """A quarter for every part of the metric of Jigsaw 2019 that a row is in.

    All rows are in the overall area; rows with an identity in its subgroup; toxic rows without any
    in the background positives; non-toxic rows with one in the subgroup negatives. As the 2nd place
    of that competition.

    Args:
        toxic: ``(rows,)`` bool.
        mentions: ``(rows, identities)`` bool.

    Returns:
        ``(rows,)``.
    """
    any_identity = mentions.any(axis=1)
    parts = 1.0 + any_identity + (toxic & ~any_identity) + (~toxic & any_identity)
    return parts / 4


def identity_public_kernel(toxic: np.ndarray, mentions: np.ndarray) -> np.ndarray:
    """As ``identity_strict``, but "without identity" is "some identity is below 0.5".

    That holds for every row that does not mention all identities at once, so that toxic rows with
    an identity get a quarter more. The formula of that competition's public kernel and of its 3rd
    and 7th places. Arguments and result as of ``identity_strict``.
    """
    any_identity, some_lack = mentions.any(axis=1), (~mentions).any(axis=1)
    parts = 1.0 + any_identity + (toxic & some_lack) + (~toxic & any_identity)
    return parts / 4


def annotators(counts: np.ndarray) -> np.ndarray:
    """``(rows,)`` log(annotators + 2), as the 3rd place of Jigsaw 2019.

    An unknown count (NaN) weighs as the mean of the known ones.
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
        files: the rows' cells, in order, with the paths of their files, for columns that schemes
            name.

    Raises:
        InputError: a weight or a count that is none.
    """
    settings, main = experiment.sample_weights, experiment.main_task
    label = labels[:, experiment.label_columns.index(main.columns[0])]
    toxic, mentions = label >= 0.5, identities >= 0.5

    def cells(read: Callable, column: str | None) -> np.ndarray:
        return np.concatenate([read(frame, column, path) for frame, path in files])

    makers = {
        "identity_strict": lambda: identity_strict(toxic, mentions),
        "identity_public_kernel": lambda: identity_public_kernel(toxic, mentions),
        "annotators": lambda: annotators(cells(counts_of, settings.annotators)),
        "column": lambda: cells(weights_of, settings.column),
    }
    weights = np.prod([makers[name]() for name in settings.scheme], axis=0)
    mean = weights[~np.isnan(label)].mean()
    return weights / mean if settings.scale_to_mean_one and mean > 0 else weights
