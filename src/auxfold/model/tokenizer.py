"""Tokenizers of backbones: loaded, checked, and matched with what the backbone has."""

from __future__ import annotations

import inspect
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import transformers
from torch import nn
from transformers import AutoTokenizer, PreTrainedModel

from auxfold.config import Model as ModelSettings
from auxfold.data.dataset import TokenizedDataset
from auxfold.data.tokenizer_files import save_tokenizer
from auxfold.errors import InputError
from auxfold.model.hub import load_pretrained

# Texts that a tokenizer must read the same after it was stored and loaded again.
_ROUND_TRIP = ["the garden is good", "nonsense soup, und Übergröße 123", "Это тест", "这是测试"]


def load_tokenizer(settings: ModelSettings) -> Any:
    """Load the tokenizer of a backbone: the fast one, or where there is none, that in Python.

    A tokenizer without a padding token (GPT-2, Llama) pads with its end of text. Padding is masked
    everywhere, so that no result depends on the token.

    Raises:
        InputError: the tokenizer cannot be loaded, cannot be stored, or has no token to pad with.
    """
    tokenizer = load_pretrained(AutoTokenizer, settings)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if tokenizer.pad_token_id is None:
        raise InputError(
            f"model.backbone = {settings.backbone!r} has a tokenizer without padding token, end of "
            f"text and unknown token; give its tokenizer a pad_token"
        )
    if not tokenizer.is_fast or settings.trust_remote_code:
        _check_round_trip(tokenizer, settings)
    return tokenizer


def describe_slow_tokenizer(tokenizer: Any) -> str | None:
    """What a person should know about a tokenizer in Python; None for a fast one."""
    if tokenizer.is_fast:
        return None
    return (
        f"the backbone has no fast tokenizer: {type(tokenizer).__name__} is slower, since it runs "
        f"in Python; the tokens are made once and stored with the run"
    )


def _check_round_trip(tokenizer: Any, settings: ModelSettings) -> None:
    """Refuse a tokenizer that a trained fold would read back as another one."""
    with TemporaryDirectory() as folder:
        save_tokenizer(tokenizer, Path(folder))
        try:  # as a fold's tokenizer is loaded
            loaded = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        except ValueError as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(
                f"model.backbone = {settings.backbone!r} has a tokenizer that a trained fold could "
                f"not load: {reason}"
            ) from None
        texts = [text for text in _ROUND_TRIP for text in (text, text.upper())]
        if tokenizer(texts)["input_ids"] != loaded(texts)["input_ids"]:
            raise InputError(
                f"model.backbone = {settings.backbone!r} has a tokenizer "
                f"({type(tokenizer).__name__}) that transformers {transformers.__version__} does "
                f"not store completely: a trained fold would read texts differently"
            )


def match_token_types(tokenizer: Any, backbone: PreTrainedModel, n_texts: int) -> str | None:
    """Stop a tokenizer from giving token types that its backbone has no embeddings for.

    klue/roberta-base has BERT's tokenizer, which gives the second text of a pair the type 1, and
    one token type. Without token types a backbone takes type 0 for all tokens, as in transformers.

    Args:
        tokenizer: that of the backbone; it is stored with every fold, so that it gives no token
            types there either.
        backbone: knows how many token types there are.
        n_texts: 1 for single texts, 2 for pairs.

    Returns:
        What a person should know about it, where pairs are concerned.
    """
    names = tokenizer.model_input_names
    if "token_type_ids" not in names:
        return None
    n_types = _count_token_types(backbone)
    if n_types is None or n_types > 1:
        return None
    tokenizer.model_input_names = [name for name in names if name != "token_type_ids"]
    tokenizer.init_kwargs["model_input_names"] = tokenizer.model_input_names
    if n_texts == 1:
        return None
    return (
        f"the backbone ({backbone.config.model_type}) does not distinguish token types, though its "
        f"tokenizer does: only separators tell the two texts of a pair apart"
    )


def _count_token_types(backbone: PreTrainedModel) -> int | None:
    """How many token types a backbone distinguishes; None: any number."""
    if "token_type_ids" not in inspect.signature(backbone.forward).parameters:
        return 0
    for name, module in backbone.named_modules():
        if name.endswith("token_type_embeddings") and isinstance(module, nn.Embedding):
            return module.num_embeddings
    return None


def check_token_ids(dataset: TokenizedDataset, backbone: PreTrainedModel, name: str) -> None:
    """Refuse token ids that a backbone has no embeddings for.

    Args:
        dataset: the tokenized rows.
        backbone: the model that would read them.
        name: what the experiment calls it.

    Raises:
        InputError: the tokenizer is that of another model.
    """
    try:
        embeddings = backbone.get_input_embeddings()
    except NotImplementedError:  # CANINE hashes characters instead
        return
    if not isinstance(embeddings, nn.Embedding):
        return
    special = [token_id for segment in dataset.template.segments for token_id in segment]
    columns = [column.ids for column in dataset.columns if len(column.ids)]
    largest = max([dataset.template.pad_token_id, *special, *(int(ids.max()) for ids in columns)])
    if largest >= embeddings.num_embeddings:
        raise InputError(
            f"model.backbone = {name!r}: its tokenizer gives token {largest}, but the model has "
            f"embeddings for tokens 0 to {embeddings.num_embeddings - 1}; "
            f"the tokenizer is not that of this model"
        )


def check_first_token(dataset: TokenizedDataset, backbone: PreTrainedModel) -> None:
    """Refuse ``pooling = "cls"`` where the first token cannot stand for the text.

    Raises:
        InputError: the first token is one of the text.
    """
    if not dataset.template.segments[0]:
        raise InputError(
            f"model.pooling = 'cls': {backbone.config.model_type} has no such token, since its "
            f"tokenizer puts no special token before the text; use 'mean' or 'attention'"
        )
