"""Which blending methods suit the tasks and the metric."""

from __future__ import annotations

import numpy as np

from auxfold.blending.candidates import Candidates
from auxfold.blending.options import FITTED_METHODS, METHODS, BlendOptions
from auxfold.errors import InputError, nearest
from auxfold.postprocessing.averaging import check_average
from auxfold.tasks.metrics import metric_name

PROBABILITY_METRICS = ("log_loss", "f1")  # binary metrics that read more than the order of the rows


def check_methods(methods: list[str], candidates: Candidates, options: BlendOptions) -> None:
    """Refuse what cannot be done, before anything is computed.

    Raises:
        InputError: a method is unknown, the tasks do not have its average, options exclude each
            other, or the metric is undefined on the rows.
    """
    for method in methods:
        _check_method(method, candidates, options)
    if options.negative and options.average == "power":
        raise InputError(
            "--negative: the power mean of weights below zero may have no root; take --average "
            "probability, logit or rank"
        )
    indices = np.arange(candidates.n_rows)
    if candidates.score(indices, candidates.member_predictions(0)) is None:
        raise InputError(f"--metric {candidates.metric} is undefined on these rows")
    if options.by_column:
        for column, part in candidates.split_by_column().items():
            if part.score(indices, part.member_predictions(0)) is None:
                raise InputError(
                    f"--by column: {candidates.metric} is undefined on column {column!r}"
                )


def select_methods(
    methods: tuple[str, ...], candidates: Candidates, options: BlendOptions
) -> list[str]:
    """The methods that suit the tasks and the metric.

    Raises:
        InputError: a fitted method does not, because of the options.
    """
    suitable = []
    for method in methods:
        try:
            _check_method(method, candidates, options)
        except InputError:
            if method in FITTED_METHODS:
                raise
            continue
        suitable.append(method)
    return suitable


def _check_method(method: str, candidates: Candidates, options: BlendOptions) -> None:
    if method not in METHODS:
        raise InputError(
            f"--method {method}{nearest(method, METHODS)}; one of {', '.join(METHODS)}, or all"
        )
    average = options.average_of(method)
    check_average(average, candidates.tasks, candidates.n_rows)
    if average == "rank" and metric_name(candidates.metric) in PROBABILITY_METRICS:
        raise InputError(
            f"{candidates.metric} is a metric of probabilities, and mean ranks are none; take "
            f"another metric or average"
        )
