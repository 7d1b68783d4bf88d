"""Seconds of the metrics of a binary column, and of scikit-learn on the same labels and scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import metrics as sk

from auxfold.tasks.metrics import BINARY_METRICS
from benchmarks.options import make_parser
from benchmarks.parts import Part, parts_record, time_part
from benchmarks.record import publish

EXAMPLES = """  python -m benchmarks metric
  python -m benchmarks metric --rows 1800000 --json
"""
TOLERANCE = 1e-9

Function = Callable[[np.ndarray, np.ndarray], Any]
# Of hard labels and probabilities. scikit-learn has no expected calibration error.
BASELINES: dict[str, Function] = {
    "auc": sk.roc_auc_score,
    "ap": sk.average_precision_score,
    "f1": lambda labels, scores: sk.f1_score(labels, scores >= 0.5),
    "accuracy": lambda labels, scores: sk.accuracy_score(labels, scores >= 0.5),
    "balanced_accuracy": lambda labels, scores: sk.balanced_accuracy_score(labels, scores >= 0.5),
    "mcc": lambda labels, scores: sk.matthews_corrcoef(labels, scores >= 0.5),
    "kappa": lambda labels, scores: sk.cohen_kappa_score(labels, scores >= 0.5),
    "log_loss": sk.log_loss,
    "brier": sk.brier_score_loss,
}


def main(argv: list[str] | None = None) -> None:
    """Check that both agree, measure and publish."""
    parser = make_parser("metric", __doc__ or "", EXAMPLES)
    parser.add_argument("--rows", type=int, default=360_000, help="default: %(default)s")
    args = parser.parse_args(argv)
    labels, scores = generate_scores(args.rows, args.seed)
    parts = []
    for name, baseline in BASELINES.items():
        part = compare(name, BINARY_METRICS[name].function, baseline, labels, scores)
        parts.append(time_part(part, args.rows, args.repetitions))
    publish(parts_record("metric", args.seed, argv, parts), args.json, not args.no_table)


def compare(
    name: str, ours: Function, baseline: Function, labels: np.ndarray, scores: np.ndarray
) -> Part:
    """Both functions on these rows.

    Raises:
        AssertionError: they disagree.
    """
    value, expected = ours(labels, scores), baseline(labels, scores)
    if abs(value - expected) > TOLERANCE:
        raise AssertionError(f"{name} is {value}, but {expected} according to scikit-learn")
    return Part(
        name, lambda: ours(labels, scores), "scikit-learn", lambda: baseline(labels, scores)
    )


def generate_scores(n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """``(rows,)`` labels 0 or 1, a tenth of them 1, and probabilities that know something."""
    random = np.random.default_rng(seed)
    labels = (random.random(n_rows) < 0.1).astype(np.float64)
    logits = random.normal(size=n_rows) + 2 * labels - 2
    return labels, 1 / (1 + np.exp(-logits))
