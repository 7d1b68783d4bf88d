"""What must fit together between the sections of an experiment."""

from __future__ import annotations

import pytest

from auxfold.errors import InputError
from conftest import make_experiment


@pytest.mark.parametrize("setting", [{"batches": "homogeneous"}, {"sampling": "uniform"}])
def test_sampling_is_for_several_sources(setting):
    with pytest.raises(InputError, match=f"train.{next(iter(setting))} = .* is for several"):
        make_experiment("t.csv", "b", train=setting)
    make_experiment("", "b", data={"train": ["a.csv", "b.csv"]}, train=setting)
