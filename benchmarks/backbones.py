"""Backbones with random weights and a tokenizer for them, written without a download."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

from auxfold.model.amp import default_device
from benchmarks.rows import SYLLABLES

BERT_TOKENS = {"pad": (0, "[PAD]"), "unk": (1, "[UNK]"), "cls": (2, "[CLS]"), "sep": (3, "[SEP]")}
ROBERTA_TOKENS = {"cls": (0, "<s>"), "pad": (1, "<pad>"), "sep": (2, "</s>"), "unk": (3, "<unk>")}
DEBERTA_TOKENS = {
    "pad": (0, "[PAD]"),
    "cls": (1, "[CLS]"),
    "sep": (2, "[SEP]"),
    "unk": (3, "[UNK]"),
}
LLAMA_TOKENS = {"unk": (0, "<unk>"), "cls": (1, "<s>"), "sep": (2, "</s>"), "pad": (3, "<pad>")}
MODERNBERT_TOKENS = {
    "unk": (50280, "[UNK]"), "cls": (50281, "[CLS]"), "sep": (50282, "[SEP]"),
    "pad": (50283, "[PAD]"),
}  # fmt: skip


@dataclass(frozen=True)
class Architecture:
    """The published sizes of a backbone.

    Attributes:
        model_type: as transformers calls it.
        vocab_size: tokens.
        special_tokens: role to (id, token).
        settings: other keys of its configuration.
        has_token_types: whether its tokenizer gives token types.
    """

    model_type: str
    vocab_size: int
    special_tokens: dict[str, tuple[int, str]]
    settings: dict[str, Any] = field(default_factory=dict)
    has_token_types: bool = False


BERT = Architecture("bert", 30522, BERT_TOKENS, has_token_types=True)
RANDOM_BACKBONES = {
    "bert-base": BERT,
    "roberta-base": Architecture(
        "roberta",
        50265,
        ROBERTA_TOKENS,
        {"max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5,
         "bos_token_id": 0, "eos_token_id": 2},
    ),
    "deberta-v3-base": Architecture(
        "deberta-v2",
        128100,
        DEBERTA_TOKENS,
        {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
         "intermediate_size": 3072, "relative_attention": True, "position_buckets": 256,
         "norm_rel_ebd": "layer_norm", "share_att_key": True, "pos_att_type": ["p2c", "c2p"],
         "position_biased_input": False, "type_vocab_size": 0, "pooler_hidden_act": "gelu",
         "pooler_dropout": 0},
        has_token_types=True,
    ),
    "modernbert-base": Architecture("modernbert", 50368, MODERNBERT_TOKENS),
    "smollm2-135m": Architecture(
        "llama",
        49152,
        LLAMA_TOKENS,
        {"hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9,
         "num_key_value_heads": 3, "intermediate_size": 1536, "max_position_embeddings": 8192},
    ),
    "qwen3-0.6b": Architecture(
        "qwen3",
        151936,
        LLAMA_TOKENS,
        {"hidden_size": 1024, "num_hidden_layers": 28, "num_attention_heads": 16,
         "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 3072},
    ),
    "minilm": Architecture(
        "bert",
        30522,
        BERT_TOKENS,
        {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536},
        has_token_types=True,
    ),
    "tiny": Architecture(
        "bert",
        1000,
        BERT_TOKENS,
        {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
         "intermediate_size": 64},
        has_token_types=True,
    ),
}  # fmt: skip


def random_backbone(name: str, parent: Path) -> str:
    """The folder ``parent/name`` with a backbone of random weights, which is written if missing."""
    folder = parent / name
    if not (folder / "config.json").is_file():
        parent.mkdir(parents=True, exist_ok=True)
        unfinished = parent / f"{name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        write_backbone(RANDOM_BACKBONES[name], unfinished)
        unfinished.replace(folder)
    return str(folder)


def write_backbone(architecture: Architecture, folder: Path) -> None:
    """Write random weights, the configuration and a tokenizer, as people save them."""
    special = architecture.special_tokens
    config = AutoConfig.for_model(
        architecture.model_type,
        vocab_size=architecture.vocab_size,
        pad_token_id=special["pad"][0],
        **architecture.settings,
    )
    torch.manual_seed(0)
    with default_device():  # a GPU draws the numbers in no time
        AutoModel.from_config(config).save_pretrained(folder)
    make_tokenizer(architecture).save_pretrained(folder)


def make_tokenizer(architecture: Architecture) -> PreTrainedTokenizerFast:
    """A WordPiece tokenizer whose vocabulary is made of syllables: one token per known word."""
    special = architecture.special_tokens
    vocabulary = {token: index for index, token in special.values()}
    free = (i for i in range(architecture.vocab_size) if i not in vocabulary.values())
    vocabulary.update(zip(_words(), list(free), strict=False))
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=special["unk"][1]))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    (cls_id, cls), (sep_id, sep) = special["cls"], special["sep"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {sep} $B:1 {sep}:1",
        special_tokens=[(cls, cls_id), (sep, sep_id)],
    )
    types = ["token_type_ids"] if architecture.has_token_types else []
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_input_names=["input_ids", *types, "attention_mask"],
        **{f"{role}_token": token for role, (_, token) in special.items()},
    )


def _words() -> itertools.chain[str]:
    """Words of two syllables, then of three, in a fixed order."""
    return itertools.chain.from_iterable(
        map("".join, itertools.product(SYLLABLES, repeat=n_syllables)) for n_syllables in (2, 3)
    )
