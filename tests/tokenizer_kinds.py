"""Tokenizers of every layout, made on the spot and stored as their authors store them."""

from __future__ import annotations

import io
import json
import string
from collections.abc import Callable
from pathlib import Path

import sentencepiece
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import (
    AlbertTokenizer,
    AutoConfig,
    BertTokenizer,
    ByT5Tokenizer,
    CanineTokenizer,
    DebertaV2Tokenizer,
    GPT2Tokenizer,
    LlamaTokenizer,
    PreTrainedTokenizerFast,
    Qwen2Tokenizer,
    RobertaTokenizer,
    T5Tokenizer,
    XLNetTokenizer,
)

TEXTS = [
    "the garden is good",
    "bread!",
    "Silly   goose, nonsense soup " * 9,
    "",
    "a",
    "rain\nand rain",
    "naïve 中文",
    "",
    "soup \N{SMILING FACE WITH SUNGLASSES} ok",
]
SECOND_TEXTS = ["a council", "rain and rain " * 8, "no", "soup", "", "soup " * 9, "x", "", "a b"]
LETTERS = string.ascii_lowercase


def _word_pieces() -> dict[str, int]:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [*special, *LETTERS, *(f"##{letter}" for letter in LETTERS), "the", "garden", "!"]
    return {piece: number for number, piece in enumerate(pieces)}


def _unigrams(special: list[str]) -> list[tuple[str, float]]:
    """Pieces of SentencePiece with their scores, after the special tokens."""
    texts = [text for text in TEXTS + SECOND_TEXTS if text] * 5
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=model, vocab_size=90,
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    numbers = range(3, processor.get_piece_size())
    pieces = [(processor.id_to_piece(n), processor.get_score(n)) for n in numbers]
    return [(token, 0.0) for token in special] + pieces


def _byte_pairs(special: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=330, show_progress=False, special_tokens=special, initial_alphabet=alphabet
    )
    tokenizer.train_from_iterator(TEXTS + SECOND_TEXTS, trainer)
    return tokenizer


def _vocabulary(tokenizer: Tokenizer) -> dict:
    model = json.loads(tokenizer.to_str())["model"]
    return {"vocab": model["vocab"], "merges": [tuple(pair) for pair in model["merges"]]}


def _modernbert(folder: Path) -> None:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = _byte_pairs(special)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        **{f"{name.strip('[]').lower()}_token": name for name in special},
        model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(folder)


def _llama(folder: Path) -> None:
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    tokens = ["<unk>", "<s>", "</s>", *byte_tokens, "▁", *LETTERS]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    LlamaTokenizer(vocab=vocabulary, merges=[], add_bos_token=True).save_pretrained(folder)


def _tweets(class_name: str) -> Callable[[Path], None]:
    """The files of BERTweet and PhoBERT: words with counts, and merges with counts."""

    def write(folder: Path) -> None:
        words = [f"{letter}{end}" for letter in LETTERS for end in ("@@", "")]
        words += ["th@@", "the", "rain"]
        (folder / "vocab.txt").write_text("".join(f"{word} 10\n" for word in words))
        merges = ["t h", "th e</w>", "r a", "i n</w>", "ra in</w>"]
        (folder / "bpe.codes").write_text("".join(f"{pair} 10\n" for pair in merges))
        settings = {"tokenizer_class": class_name}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))

    return write


# A kind to its model type, and to what writes the files of its tokenizer.
TOKENIZERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "bert": ("bert", lambda d: BertTokenizer(vocab=_word_pieces()).save_pretrained(d)),
    "electra": ("electra", lambda d: BertTokenizer(vocab=_word_pieces()).save_pretrained(d)),
    "roberta": ("roberta", lambda d: RobertaTokenizer(
        **_vocabulary(_byte_pairs(["<s>", "<pad>", "</s>", "<unk>", "<mask>"]))
    ).save_pretrained(d)),
    "deberta-v2": ("deberta-v2", lambda d: DebertaV2Tokenizer(
        vocab=_unigrams(["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]), unk_id=3
    ).save_pretrained(d)),
    "albert": ("albert", lambda d: AlbertTokenizer(
        vocab=_unigrams(["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"])
    ).save_pretrained(d)),
    "xlnet": ("xlnet", lambda d: XLNetTokenizer(
        vocab=_unigrams(["<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>"])
    ).save_pretrained(d)),
    "mt5": ("mt5", lambda d: T5Tokenizer(
        vocab=_unigrams(["<pad>", "</s>", "<unk>"]), extra_ids=0
    ).save_pretrained(d)),
    "modernbert": ("modernbert", _modernbert),
    "qwen2": ("qwen2", lambda d: Qwen2Tokenizer(
        **_vocabulary(_byte_pairs(["<|endoftext|>"]))
    ).save_pretrained(d)),
    "gpt2": ("gpt2", lambda d: GPT2Tokenizer(
        **_vocabulary(_byte_pairs(["<|endoftext|>"]))
    ).save_pretrained(d)),
    "llama": ("llama", _llama),
    "bertweet": ("roberta", _tweets("BertweetTokenizer")),
    "phobert": ("roberta", _tweets("PhobertTokenizer")),
    "byt5": ("t5", lambda d: ByT5Tokenizer(extra_ids=0).save_pretrained(d)),
    "canine": ("canine", lambda d: CanineTokenizer().save_pretrained(d)),
}  # fmt: skip
SLOW = {"bertweet", "phobert", "byt5", "canine"}


def write_tokenizer(kind: str, folder: Path) -> str:
    """The files of a backbone of this kind, without weights."""
    folder.mkdir(parents=True, exist_ok=True)
    model_type, write = TOKENIZERS[kind]
    write(folder)
    AutoConfig.for_model(model_type).save_pretrained(folder)
    return str(folder)
