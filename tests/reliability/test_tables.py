"""Generated tables are read exactly as they were written, or refused in one line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.reliability.tables import check_table, generate_table, prove_tables


def test_generated_tables(tmp_path):
    result = prove_tables(tmp_path, 60, seed=1)
    assert result.faults == [] and result.outcomes["read exactly"] > 40
    assert result.outcomes["refused"] > 2, "damaged ones, and ids that come twice"


def test_the_proof_notices_other_rows(tmp_path):
    table = generate_table(tmp_path, np.random.default_rng([1, 0]))
    assert check_table(table, 0) == ("read exactly", None)
    changed = table.frame.assign(text=["other", *table.frame["text"][1:]])
    _, fault = check_table(replace(table, frame=changed), 0)
    assert fault is not None and "row 0 is" in fault
    _, fault = check_table(replace(table, frame=table.frame[1:].reset_index(drop=True)), 0)
    assert fault is not None and "rows instead of" in fault
