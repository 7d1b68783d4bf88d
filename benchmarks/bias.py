"""The bias metric as the competition's kernel computes it: a table cut subset by subset.

Here for comparison: the metric that is used is ``jigsaw_bias``. Written anew after the kernel's
description, with scikit-learn's area, and its gaps closed by the rules of ``jigsaw_bias``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from auxfold.config import BIAS
from auxfold.fairness.jigsaw_bias import jigsaw_bias


def kernel_bias(
    labels: np.ndarray, scores: np.ndarray, identities: np.ndarray, names: Sequence[str]
) -> dict[str, float]:
    """``score``, ``overall``, ``<family>`` and ``<family>/<identity>``; NaN where undefined.

    Arguments as of ``jigsaw_bias.jigsaw_bias``.
    """
    table = pd.DataFrame(identities >= 0.5, columns=list(names))
    table = table.assign(label_=labels >= 0.5, score_=scores)[~np.isnan(labels)]
    toxic = table["label_"]
    made = {"overall": _area(table)}
    for name in names:
        member = table[name]
        made[f"subgroup/{name}"] = _area(table[member])
        made[f"bpsn/{name}"] = _area(pd.concat([table[member & ~toxic], table[~member & toxic]]))
        made[f"bnsp/{name}"] = _area(pd.concat([table[member & toxic], table[~member & ~toxic]]))
    for family in ("subgroup", "bpsn", "bnsp"):
        areas = np.array([made[f"{family}/{name}"] for name in names])
        areas = areas[~np.isnan(areas)]
        with np.errstate(divide="ignore"):
            made[family] = np.mean(areas**-5.0) ** (1 / -5.0) if len(areas) else np.nan
    made["score"] = np.mean([made[part] for part in ("overall", "subgroup", "bpsn", "bnsp")])
    return made


def compare_bias(rows: int = 360_000, identities: int = 9, runs: int = 3) -> dict[str, float]:
    """The best of some runs of each way on the same generated rows, taken in turns.

    A fifth of the rows is annotated, and six in a hundred of those mention an identity, about as
    in the competition.

    Returns:
        ``rows``, ``identities``, ``kernel_seconds``, ``seconds``, their ``ratio`` and the largest
        ``difference`` of any area or mean.
    """
    random = np.random.default_rng(0)
    labels, scores = random.random(rows) ** 8, random.random(rows)
    flags = np.where(random.random((rows, identities)) < 0.06, 1.0, 0.0)
    flags[random.random(rows) > 0.2] = np.nan
    given = (labels, scores, flags.astype(np.float32), [f"identity {n}" for n in range(identities)])
    seconds: dict[str, list[float]] = {"kernel": [], "ours": []}
    for _ in range(runs):
        started = time.perf_counter()
        theirs = kernel_bias(*given)
        between = time.perf_counter()
        ours = jigsaw_bias(*given).metrics()
        seconds["ours"].append(time.perf_counter() - between)
        seconds["kernel"].append(between - started)
    kernel, own = min(seconds["kernel"]), min(seconds["ours"])
    return {
        "rows": rows,
        "identities": identities,
        "kernel_seconds": kernel,
        "seconds": own,
        "ratio": kernel / own,
        "difference": max(abs(ours[f"{BIAS}/{part}"] - value) for part, value in theirs.items()),
    }


def _area(rows: pd.DataFrame) -> float:
    if rows["label_"].nunique() < 2:
        return np.nan
    return roc_auc_score(rows["label_"], rows["score_"])
