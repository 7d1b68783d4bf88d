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
from dataclasses import replace

import numpy as np
import pandas as pd

from auxfold.config.experiment import Experiment
from auxfold.data.cells import parse_counts, parse_weights
from auxfold.data.table import Table


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

    Args:
        counts: ``(rows,)`` numbers of annotators, NaN where unknown; there the weight is NaN, too.
    """
    return np.log(counts + 2)


def scheme_factors(
    experiment: Experiment,
    labels: np.ndarray,
    identities: np.ndarray,
    files: list[tuple[pd.DataFrame, str]],
) -> dict[str, np.ndarray]:
    """Scheme of ``[sample_weights]`` to ``(rows,)`` weights that follow from the row alone.

    NaN: no annotators are known, and the weight depends on other rows.

    Args:
        experiment: names the schemes.
        labels: ``(rows, columns)`` as in ``Table.labels``.
        identities: ``(rows, identities)``, NaN where not annotated.
        files: the cells of the rows, in order, with the paths of their files; schemes may name
            columns of them.

    Raises:
        InputError: a cell is not a weight or not a count.
    """
    settings = experiment.sample_weights
    toxic, mentions = labels[:, _main_column(experiment)] >= 0.5, identities >= 0.5

    def parse(parser: Callable, column: str | None) -> np.ndarray:
        return np.concatenate([parser(frame, column, path) for frame, path in files])

    schemes = {
        "identity_strict": lambda: identity_strict(toxic, mentions),
        "identity_public_kernel": lambda: identity_public_kernel(toxic, mentions),
        "annotators": lambda: annotators(parse(parse_counts, settings.annotators)),
        "column": lambda: parse(parse_weights, settings.column),
    }
    return {name: schemes[name]() for name in settings.scheme}


def fit_sample_weights(experiment: Experiment, table: Table, indices: np.ndarray) -> Table:
    """The table with the weights of ``[sample_weights]`` among those of the main task.

    What depends on other rows is learned from the rows to train on alone: the mean weight of known
    numbers of annotators, for rows without one, and the mean by which the weights are divided.

    Args:
        experiment: names the main task, and says whether weights are scaled to a mean of 1.
        table: with ``scheme_factors``; a table without them is returned as it is.
        indices: the rows to train on.
    """
    if not table.scheme_factors:
        return table
    factors = []
    for factor in table.scheme_factors.values():
        mean = _mean(factor[indices][~np.isnan(factor[indices])])
        factors.append(np.where(np.isnan(factor), mean, factor))
    weights = np.prod(factors, axis=0)
    if experiment.sample_weights.scale_to_mean_one:
        is_labeled = ~np.isnan(table.labels[indices, _main_column(experiment)])
        mean = _mean(weights[indices][is_labeled])
        weights = weights / mean if mean > 0 else weights
    name = experiment.main_task.name
    weights = (table.task_weights.get(name, np.float32(1.0)) * weights).astype(np.float32)
    return replace(table, task_weights={**table.task_weights, name: weights}, scheme_factors={})


def _main_column(experiment: Experiment) -> int:
    """The main task's first column in ``Table.labels``."""
    return experiment.label_columns.index(experiment.main_task.label_columns[0])


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 1.0
