"""How many tokens of a forward pass, and how many models, fit into a device's memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

# The part of the free memory that one forward pass may take. The rest is for fragments, captured
# CUDA graphs, and what the arithmetic does not count.
SHARE = 1 / 3
STEP = 1024  # budgets are multiples of it
# More tokens would not be faster: the matrix products of so many keep every GPU busy. Batches of
# predictions are smaller, so that each is copied and assembled while the one before is computed
# (measured on an H200: 33,600 rows/s with 32,768 tokens, 32,000 with 131,072).
MAX_TRAINING_TOKENS, MAX_PREDICTION_TOKENS = 131_072, 32_768
BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}


def free_memory(device: torch.device) -> int:
    """The bytes of a GPU that neither tensors nor other processes hold."""
    free, _ = torch.cuda.mem_get_info(device)
    # What torch has reserved and no tensor holds is free, too.
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return free + cached


def prediction_tokens(
    backbone: PreTrainedModel, amp_dtype: str, max_length: int, free_bytes: int
) -> int:
    """The tokens of a batch whose forward pass without gradient takes a third of the free memory.

    Args:
        backbone: the module of Hugging Face.
        amp_dtype: ``bf16``, ``fp16`` or ``fp32``.
        max_length: the most tokens of a row.
        free_bytes: the free memory.
    """
    needed = layer_bytes(backbone.config, BYTES[amp_dtype], max_length, _has_scores(backbone))
    return _round_down(free_bytes * SHARE / needed, MAX_PREDICTION_TOKENS)


def training_tokens(
    backbone: PreTrainedModel, amp_dtype: str, max_length: int, free_bytes: int
) -> int:
    """The tokens of a micro-batch whose activations take a third of the free memory.

    Every layer keeps what its backward pass reads. Gradients and the moments of the optimizer are
    subtracted before: 12 bytes per trainable parameter.

    Args:
        backbone: the module of Hugging Face, before the first step.
        amp_dtype: ``bf16``, ``fp16`` or ``fp32``.
        max_length: the most tokens of a row.
        free_bytes: the free memory.
    """
    trained = sum(p.numel() for p in backbone.parameters() if p.requires_grad)
    n_layers = backbone.config.num_hidden_layers
    per_layer = layer_bytes(backbone.config, BYTES[amp_dtype], max_length, _has_scores(backbone))
    n_tokens = (free_bytes - 12 * trained) * SHARE / (n_layers * per_layer)
    return _round_down(n_tokens, MAX_TRAINING_TOKENS)


def layer_bytes(config: Any, n_bytes: int, max_length: int, has_scores: bool) -> int:
    """The bytes per token of one layer of a transformer.

    With hidden size H and width I of the feed-forward: the residual, both sums and both layer norms
    in fp32 (20 H bytes); queries, keys, values and the output of attention (4 H numbers); the
    feed-forward before and after its activation, gated or not (3 I numbers). Where attention
    computes its scores, each token has ``max_length`` of them per head, about six times in the
    format of matrix products and once in fp32.

    Args:
        config: of the backbone.
        n_bytes: the bytes of a number in a matrix product.
        max_length: the most tokens of a row.
        has_scores: whether attention writes its scores to memory.
    """
    hidden = config.hidden_size
    width = getattr(config, "intermediate_size", None) or getattr(config, "hidden_dim", 4 * hidden)
    total = 20 * hidden + n_bytes * (4 * hidden + 3 * width)
    if has_scores:
        total += config.num_attention_heads * max_length * (6 * n_bytes + 4)
    return total


def _has_scores(backbone: PreTrainedModel) -> bool:
    """Whether attention writes its scores: it is eager, as DeBERTa's always is."""
    return backbone.config._attn_implementation == "eager"


def _round_down(n_tokens: float, most: int) -> int:
    return int(min(max(n_tokens // STEP * STEP, STEP), most))


def models_fit(
    model: nn.Module, n_models: int, free_bytes: int, *, has_copies: bool, shares_frozen: bool
) -> bool:
    """Whether more models like one in memory take at most a third of the free memory.

    Args:
        model: on the device.
        n_models: how many more would be loaded.
        free_bytes: the free memory.
        has_copies: whether each model keeps half-precision copies of all weights, as the fast
            encoder does.
        shares_frozen: whether the models have the frozen parameters in common.
    """
    sizes = [(p.numel() * p.element_size(), p.requires_grad) for p in model.parameters()]
    n_bytes = sum(size for size, is_trained in sizes if is_trained or not shares_frozen)
    if has_copies:
        n_bytes += sum(size for size, _ in sizes) // 2
    return n_models * n_bytes <= free_bytes * SHARE
