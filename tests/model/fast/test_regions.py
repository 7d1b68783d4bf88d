"""The elementwise regions give the same as they are, compiled, and as Triton kernels."""

from __future__ import annotations

import pytest
import torch

from auxfold.model.fast import regions
from packed_models import NO_DROPOUT, gradients, make_model, pack, relative_error


@pytest.fixture
def compiled(monkeypatch):
    counts = []
    compile_function = torch.compile

    def count(graph, _):
        counts.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda f: compile_function(f, backend=count))
    torch._dynamo.reset()
    regions.compile_regions(True)
    yield counts
    regions.compile_regions(False)


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_compiled_regions_give_the_same(family, compiled):
    model = make_model(family, **NO_DROPOUT)
    ours = gradients(model, model.packed_features(pack()))
    n_graphs = len(compiled)
    assert n_graphs == {"bert": 2, "modernbert": 5}[family]
    gradients(model, model.packed_features(pack(capacity=None)))
    assert len(compiled) == n_graphs  # for any number of tokens
    with torch.no_grad():
        model.packed_features(pack())
    assert len(compiled) == n_graphs  # nothing is compiled for evaluations
    regions.compile_regions(False)
    assert relative_error(ours, gradients(model, model.packed_features(pack()))) < 1e-6
