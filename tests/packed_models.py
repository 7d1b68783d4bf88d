"""Tiny models, and the same rows packed and padded, for tests of the padding-free forward."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from transformers import AutoConfig, AutoModel

from auxfold.data.packing import Capacity, PackedTokens, pack_rows
from auxfold.model.config import MultiTaskConfig
from auxfold.model.multitask import MultiTaskModel
from conftest import ARCHITECTURES, TINY_CONFIG

FAMILIES = {
    **{n: ARCHITECTURES[n] for n in ("bert", "roberta", "xlm-roberta", "electra", "mpnet")},
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    # One layer attends globally, the other only to two tokens on each side.
    "modernbert": {**ARCHITECTURES["modernbert"], "local_attention": 4, "bos_token_id": 2,
                   "eos_token_id": 3},
}  # fmt: skip
DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout",
            "embedding_dropout", "mlp_dropout")  # fmt: skip
NO_DROPOUT = dict.fromkeys(DROPOUTS, 0.0)
LENGTHS = [5, 1, 12, 7, 3, 12]
CAPACITY = Capacity(tokens=64, rows=10, max_length=16)  # two rows of filler, two empty rows


def make_model(family: str, pooling: str = "mean", **changes: object) -> MultiTaskModel:
    torch.manual_seed(0)
    settings = {**TINY_CONFIG, **FAMILIES[family], **changes}
    config = AutoConfig.for_model(family, **settings)
    model = MultiTaskModel(
        MultiTaskConfig(backbone=config.to_dict(), heads={"main": 1}, pooling=pooling),
        backbone=AutoModel.from_config(config),
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_gain = "norm" in name.lower() and name.endswith("weight")
            parameter.normal_(1.0 if is_gain else 0.0, 0.2)
    return model


def make_ids(types: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
    random = np.random.default_rng(0)
    n = sum(LENGTHS)
    return random.integers(4, 20, n), random.integers(0, 2, n) if types else None


def pack(types: bool = False, capacity: Capacity | None = CAPACITY) -> PackedTokens:
    ids, type_ids = make_ids(types)
    return pack_rows(ids, type_ids, np.array(LENGTHS), pad_token_id=0, capacity=capacity)


def padded_inputs(types: bool = False) -> dict[str, torch.Tensor]:
    ids, type_ids = make_ids(types)
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    inputs = {"attention_mask": mask.long()}
    for name, values in (("input_ids", ids), ("token_type_ids", type_ids)):
        if values is not None:
            inputs[name] = torch.zeros(mask.shape, dtype=torch.long)
            inputs[name][mask] = torch.from_numpy(values)
    return inputs


def gradients(model: nn.Module, features: torch.Tensor) -> dict[str, torch.Tensor]:
    weights = torch.linspace(-1, 1, features.numel()).view(features.shape)
    model.zero_grad()
    (features * weights).sum().backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def relative_error(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    assert ours.keys() == theirs.keys()
    # The gradient of a key's bias is zero but for rounding: a common scale.
    scale = max(float(value.abs().max()) for value in theirs.values())
    return max(
        float((ours[name] - value).abs().max()) / max(float(value.abs().max()), 0.1 * scale)
        for name, value in theirs.items()
    )
