"""The estimated memory of a step is close to what is counted in a real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel

from auxfold.config.experiment import experiment_from_dict
from auxfold.training.memory_estimate import estimate_step_memory
from benchmarks.experiment import experiment_content
from benchmarks.memory import step_peak
from benchmarks.our_training import OurTraining
from conftest import WORDS, make_tokenizer

SIZES = {
    "bert": {"hidden_size": 64, "intermediate_size": 256, "num_attention_heads": 4},
    "llama": {"hidden_size": 64, "intermediate_size": 192, "num_attention_heads": 4,
              "num_key_value_heads": 2},
    "modernbert": {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4,
                   "cls_token_id": 2, "sep_token_id": 3},
}  # fmt: skip
LORA = {"kind": "lora", "rank": 4}


def make_training(folder: Path, architecture: str, **sections: Any) -> OurTraining:
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        architecture, vocab_size=64, num_hidden_layers=6, max_position_embeddings=256,
        pad_token_id=0, **SIZES[architecture],
    )  # fmt: skip
    AutoModel.from_config(config).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    raw = experiment_content(str(folder))
    raw["model"] |= {"max_length": 128, "hidden_dropout": 0.0} | sections.get("model", {})
    raw["model"] = {
        name: v for name, v in raw["model"].items()
        if architecture == "bert" or name != "hidden_dropout"
    }  # fmt: skip
    raw["train"] |= {"batch_size": 8, "precision": "bf16"} | sections.get("train", {})
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS, size=size)) for size in [100] * 8 + [5] * 8]
    experiment = experiment_from_dict(raw, "memory")
    return OurTraining(experiment, texts, 0, torch.device("cpu"))


@pytest.mark.parametrize(
    ("architecture", "sections"),
    [
        ("bert", {}),
        ("bert", {"train": {"precision": "fp32"}}),
        ("llama", {}),
        ("llama", {"model": {"adapter": LORA}}),
        ("llama", {"train": {"max_tokens_per_batch": 420}}),
        ("llama", {"train": {"gradient_checkpointing": True}}),
        ("llama", {"model": {"adapter": LORA, "dtype": "bf16"}}),
        ("modernbert", {}),
    ],
)
def test_the_estimate_is_within_15_percent_of_a_real_step(tmp_path, architecture, sections):
    sections = {**sections, "model": {"attention": "sdpa", **sections.get("model", {})}}
    training = make_training(tmp_path, architecture, **sections)
    estimate = estimate_step_memory(training.parts, training.experiment)
    assert estimate.has_micro_batches == ("max_tokens_per_batch" in sections.get("train", {}))
    assert (estimate.length, estimate.rows) == (102, 4 if estimate.has_micro_batches else 8)
    assert estimate.total == pytest.approx(step_peak(training), rel=0.15), estimate
