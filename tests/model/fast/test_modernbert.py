"""ModernBERT over packed tokens; its equality with the module is in test_bert.py."""

from __future__ import annotations

from transformers import AutoConfig, AutoModel

from auxfold.model.fast.build import build_fast_encoder
from conftest import ARCHITECTURES, TINY_CONFIG


def test_rotary_positions_that_depend_on_the_longest_row_are_left_to_the_module():
    settings = {**TINY_CONFIG, **ARCHITECTURES["modernbert"], "bos_token_id": 2, "eos_token_id": 3}
    config = AutoConfig.for_model("modernbert", **settings)
    backbone = AutoModel.from_config(config)
    assert build_fast_encoder(backbone, "mean") is not None
    config.rope_parameters["full_attention"]["rope_type"] = "dynamic"
    assert build_fast_encoder(backbone, "mean") is None
