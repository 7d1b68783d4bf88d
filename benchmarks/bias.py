"""The bias metric as the competition's kernel computes it, and how long both ways take.

The kernel cuts a table subset by subset. It is here for comparison only: the metric that auxfold
uses is ``auxfold.fairness.jigsaw_bias``. The code follows the kernel's description, takes the area
from scikit-learn, and closes the kernel's gaps by the rules of ``jigsaw_bias``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from auxfold.config import BIAS
from auxfold.fairness.jigsaw_bias import jigsaw_bias

EXAMPLES = """examples:
  python -m benchmarks bias
  python -m benchmarks bias --rows 50000 --runs 1 --json
"""


def main(argv: list[str] | None = None) -> None:
    """Time both ways and print the seconds."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks bias",
        description="Seconds of the bias metric and of the competition kernel's way.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--rows", type=int, default=360_000, help="generated rows")
    parser.add_argument("--runs", type=int, default=3, help="of each way; the best counts")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(argv)
    result = compare_bias(args.rows, n_runs=args.runs)
    if args.json:
        print(json.dumps(result))
    else:
        print("\n".join(f"{name:16} {value:,.6g}" for name, value in result.items()))


def kernel_bias(
    labels: np.ndarray, scores: np.ndarray, identities: np.ndarray, names: Sequence[str]
) -> dict[str, float]:
    """``score``, ``overall``, ``<family>`` and ``<family>/<identity>``; NaN where undefined.

    The arguments are those of ``jigsaw_bias.jigsaw_bias``.
    """
    table = pd.DataFrame(identities >= 0.5, columns=list(names))
    table = table.assign(label_=labels >= 0.5, score_=scores)[~np.isnan(labels)]
    toxic = table["label_"]
    metrics = {"overall": _area(table)}
    for name in names:
        member = table[name]
        metrics[f"subgroup/{name}"] = _area(table[member])
        metrics[f"bpsn/{name}"] = _area(pd.concat([table[member & ~toxic], table[~member & toxic]]))
        metrics[f"bnsp/{name}"] = _area(pd.concat([table[member & toxic], table[~member & ~toxic]]))
    for family in ("subgroup", "bpsn", "bnsp"):
        areas = np.array([metrics[f"{family}/{name}"] for name in names])
        areas = areas[~np.isnan(areas)]
        with np.errstate(divide="ignore"):
            mean = np.mean(areas**-5.0) ** (1 / -5.0) if len(areas) else np.nan
            metrics[family] = float(mean)
    parts = [metrics[part] for part in ("overall", "subgroup", "bpsn", "bnsp")]
    metrics["score"] = float(np.mean(parts))
    return metrics


def compare_bias(n_rows: int = 360_000, n_identities: int = 9, n_runs: int = 3) -> dict[str, float]:
    """The best time of some runs of each way on the same generated rows, taken in turns.

    A fifth of the rows is annotated, and 6 % of those mention an identity, about as in the
    competition.

    Returns:
        ``rows``, ``identities``, ``kernel_seconds``, ``seconds``, their ``ratio`` and the largest
        ``difference`` of any area or mean.
    """
    random = np.random.default_rng(0)
    labels, scores = random.random(n_rows) ** 8, random.random(n_rows)
    flags = np.where(random.random((n_rows, n_identities)) < 0.06, 1.0, 0.0)
    flags[random.random(n_rows) > 0.2] = np.nan
    identities = flags.astype(np.float32)
    names = [f"identity {n}" for n in range(n_identities)]
    kernel_seconds, our_seconds = [], []
    for _ in range(n_runs):
        started = time.perf_counter()
        kernel = kernel_bias(labels, scores, identities, names)
        between = time.perf_counter()
        ours = jigsaw_bias(labels, scores, identities, names).metrics()
        our_seconds.append(time.perf_counter() - between)
        kernel_seconds.append(between - started)
    defined = {name: area for name, area in ours.items() if area is not None}  # all of them here
    return {
        "rows": n_rows,
        "identities": n_identities,
        "kernel_seconds": min(kernel_seconds),
        "seconds": min(our_seconds),
        "ratio": min(kernel_seconds) / min(our_seconds),
        "difference": max(abs(defined[f"{BIAS}/{part}"] - area) for part, area in kernel.items()),
    }


def _area(table: pd.DataFrame) -> float:
    if table["label_"].nunique() < 2:
        return np.nan
    return roc_auc_score(table["label_"], table["score_"])
