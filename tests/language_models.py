"""Tiny random language models, made on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, PreTrainedConfig

from conftest import TINY_CONFIG, make_tokenizer

NESTED = "gemma3"  # reads images, too; its language model is a part of it
GPT2 = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64}
GROUPED = {"num_key_value_heads": 1, "head_dim": 8}
VISION = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 8,
    "patch_size": 4,
}
# A row, and a shorter one that is padded.
BATCH = {
    "input_ids": torch.tensor([[2, 7, 8, 9, 3], [2, 11, 3, 0, 0]]),
    "attention_mask": torch.tensor([[1] * 5, [1, 1, 1, 0, 0]]),
}


def make_config(architecture: str, **others: Any) -> PreTrainedConfig:
    """The configuration of a tiny language model, with other values for the whole model."""
    sizes = {**TINY_CONFIG, **(GPT2 if architecture == "gpt2" else GROUPED)}
    if architecture == NESTED:
        sizes = {"text_config": sizes, "vision_config": VISION, "mm_tokens_per_image": 1}
    return AutoConfig.for_model(architecture, **sizes, **others)


def make_language_model(
    folder: Path, architecture: str = "llama", dtype: torch.dtype = torch.bfloat16
) -> str:
    """A tiny random language model, saved in the number format in which large ones are published.

    Its tokenizer adds no special tokens, and has none for padding.
    """
    torch.manual_seed(0)
    AutoModel.from_config(make_config(architecture)).to(dtype).save_pretrained(folder)
    tokenizer = make_tokenizer()
    tokenizer.eos_token = "[SEP]"
    tokenizer.backend_tokenizer.post_processor = None
    tokenizer.pad_token = None
    tokenizer.save_pretrained(folder)
    return str(folder)
