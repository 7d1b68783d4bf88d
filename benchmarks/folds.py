"""Seconds to make stratified folds, of auxfold and of ``iterative-stratification`` alone.

Those of auxfold also keep rows with equal texts in one fold.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

from auxfold.data.folds import make_folds
from benchmarks.experiment import N_LABELS
from benchmarks.parts import Part, run_parts
from benchmarks.rows import SYLLABLES, draw_token_counts, generate_texts, make_table

EXAMPLES = """  python -m benchmarks folds
  python -m benchmarks folds --rows 1800000 --repetitions 1
"""
N_FOLDS = 5
DISTINCT_TEXTS = 20_000  # which get a number at their end


def main(argv: list[str] | None = None) -> None:
    """Measure and publish."""
    run_parts("folds", (__doc__ or "", EXAMPLES), make_parts, argv)


def make_parts(n_rows: int, seed: int) -> list[Part]:
    """With and without a look at equal texts, against the library."""
    table = make_table(number_texts(n_rows, seed), N_LABELS, seed)
    labels = table.labels.astype(int)
    kfold = MultilabelStratifiedKFold(n_splits=N_FOLDS, shuffle=True, random_state=seed)

    def split() -> np.ndarray:
        folds = np.empty(n_rows, dtype=int)
        for number, (_, indices) in enumerate(kfold.split(labels, labels)):
            folds[indices] = number
        return folds

    return [
        Part(
            f"{N_FOLDS} folds, {N_LABELS} labels{', equal texts together' if together else ''}",
            partial(make_folds, table, table.labels, N_FOLDS, together, seed),
            "iterative-stratification",
            split,
        )
        for together in (False, True)
    ]


def number_texts(n_rows: int, seed: int) -> list[str]:
    """Texts of about 50 words, all different."""
    counts = draw_token_counts(min(n_rows, DISTINCT_TEXTS), seed=seed)
    texts = generate_texts(counts, SYLLABLES, seed)
    return [f"{texts[row % len(texts)]} {row}" for row in range(n_rows)]
