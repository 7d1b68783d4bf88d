"""Two rounds of training with a kill, evaluation and inference in a single process."""

from __future__ import annotations

from typing import Any

from benchmarks.reliability.soak import judge_cycles, prove_soak


def test_two_rounds_are_alike(tmp_path, backbones):
    result = prove_soak(tmp_path / "soak", 0, 0, 24, backbones)
    assert result.faults == [] and result.cases == 2


def make_cycle(**changes: Any) -> dict[str, Any]:
    return {"digests": {"oof.parquet": "a"}, "leftovers": [], "was_killed": True,
            "memory": 500e6, "handles": 9, "threads": 1, "files": 30, **changes}  # fmt: skip


def test_what_grows_is_noticed():
    assert judge_cycles([make_cycle()] * 12, 0).faults == []
    leaking = [make_cycle(memory=500e6 + 10e6 * n, handles=9 + n) for n in range(12)]
    handles, memory = judge_cycles(leaking, 0).faults
    assert handles == "handles rise from 10 to 20" and memory.startswith("memory rises from 540")
    other = [make_cycle(), make_cycle(digests={}), make_cycle(leftovers=["leftover fold_0.old"])]
    assert judge_cycles(other, 1).faults == [
        "cycle 1 has other results than the first one",
        "cycle 2 leaves leftover fold_0.old",
        "the process ended with exit code 1",
    ]
