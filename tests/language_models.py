"""Tiny random language models, made on the spot."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoConfig, AutoModel

from conftest import TINY_CONFIG, make_tokenizer


def make_language_model(
    folder: Path, architecture: str = "llama", dtype: torch.dtype = torch.bfloat16
) -> str:
    """A tiny random language model, saved in the number format in which large ones are published.

    Its tokenizer adds no special tokens, and has none for padding.
    """
    torch.manual_seed(0)
    sizes = {**TINY_CONFIG, "num_key_value_heads": 1, "head_dim": 8}
    config = AutoConfig.for_model(architecture, **sizes)
    AutoModel.from_config(config).to(dtype).save_pretrained(folder)
    tokenizer = make_tokenizer()
    tokenizer.eos_token = "[SEP]"
    tokenizer.backend_tokenizer.post_processor = None
    tokenizer.pad_token = None
    tokenizer.save_pretrained(folder)
    return str(folder)
