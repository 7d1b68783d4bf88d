"""The bias metric as the competition's kernel computes it: a table cut subset by subset.

Here for comparison: the metric that is used is ``jigsaw_bias``. Written anew after the kernel's
description, with scikit-learn's area, and its gaps closed by the rules of ``jigsaw_bias``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score


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


def _area(rows: pd.DataFrame) -> float:
    if rows["label_"].nunique() < 2:
        return np.nan
    return roc_auc_score(rows["label_"], rows["score_"])
