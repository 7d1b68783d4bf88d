"""Linear layers that are stored in half precision predict what autocast makes of fp32 ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from auxfold.data.dataset import tokenize_dataset
from auxfold.inference.predict import predict_logits
from auxfold.model.amp import cast_linear_layers
from auxfold.model.backbone import build_model
from auxfold.model.tokenizer import load_tokenizer
from conftest import make_backbone, make_experiment, make_frame


@pytest.mark.parametrize("architecture", ["bert", "deberta-v2", "albert", "modernbert"])
def test_not_a_bit_changes(tmp_path, architecture):
    experiment = make_experiment("t", make_backbone(tmp_path, architecture))
    model = build_model(experiment, {"main": 3}).eval()
    texts = make_frame(20)["text"].tolist()
    dataset = tokenize_dataset([texts], load_tokenizer(experiment.model), experiment.model)
    options = {"tasks": ["main"], "max_tokens": 200, "amp_dtype": "bf16"}
    expected = predict_logits(model, dataset, np.arange(20), **options)["main"]
    cast_linear_layers(model.backbone, "bf16")
    logits = predict_logits(model, dataset, np.arange(20), **options)["main"]
    np.testing.assert_array_equal(logits, expected)
    dtypes = {type(m): p.dtype for m in model.modules() for p in m.parameters(recurse=False)}
    assert dtypes[nn.LayerNorm] == dtypes[nn.Embedding] == torch.float32
    layers = [module for module in model.backbone.modules() if isinstance(module, nn.Linear)]
    assert {layer.weight.dtype for layer in layers} == {torch.bfloat16}
    assert model.heads["main"].weight.dtype == torch.float32


def test_in_fp32_nothing_is_cast(tmp_path):
    layer = nn.Linear(2, 2)
    cast_linear_layers(layer, "fp32")
    assert layer.weight.dtype == torch.float32
