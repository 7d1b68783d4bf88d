"""How a backbone's tokenizer reads texts: how long they are, and whether it knows the language."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from auxfold.config import Data, Model
from auxfold.data.dataset import tokenize_dataset

SAMPLE_ROWS = 2_000
VOCABULARY_SAMPLE = 3_000
N_BINS = 20
CUT_SHARE = 0.05  # of the rows longer than max_length
# Of MiniLM (an English BERT), measured: 1.07 to 1.14 pieces per word and at most 0.6 % unknown
# tokens on five English data sets; 1.5 to 2.8 pieces on nine other languages in Latin letters;
# 22 to 61 % unknown tokens on Japanese and Chinese.
UNKNOWN_SHARE = 0.05
PIECES_PER_WORD = 1.5
PIECES_PER_CHARACTER = 1.3  # in scripts without spaces; one token per character is normal there
# A multilingual vocabulary has many tokens beyond Latin letters; MiniLM's has 4 %.
MULTILINGUAL_SHARE = 0.1
MULTILINGUAL = '"microsoft/mdeberta-v3-base" or, on a CPU, "intfloat/multilingual-e5-small"'
WORD = re.compile(r"[^\W\d_]+")
WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
)


@dataclass(frozen=True)
class TokenStatistics:
    """The tokens of a sample of rows.

    Attributes:
        backbone: the name of the backbone.
        rows: the number of rows in the sample.
        max_length: the most tokens of a row, special tokens included.
        mean: tokens of a row before it is cut, special tokens included; the mean over the rows.
        quantiles: the tokens that 50, 95, 98 and 100 % of the rows have at most.
        bin_edges: the edges of a histogram of the tokens of a row, ``(bins + 1,)``.
        bin_counts: rows per bin, ``(bins,)``.
        cut: the share of the rows that are longer than ``max_length``.
        in_windows: whether such rows are read in windows, and not cut.
        unknown: the share of the tokens that stand for something the tokenizer does not know.
        per_character: tokens per character.
        per_word: pieces per word, a word being a run of letters; None in a text without words.
        per_unspaced_character: tokens per character of a script without spaces, such as Chinese;
            None where such characters are less than a third of the letters.
        is_multilingual: whether the vocabulary is of many scripts.
    """

    backbone: str
    rows: int
    max_length: int
    mean: float
    quantiles: dict[str, int]
    bin_edges: list[float]
    bin_counts: list[int]
    cut: float
    unknown: float
    per_character: float
    per_word: float | None
    per_unspaced_character: float | None
    is_multilingual: bool
    in_windows: bool = False

    def warnings(self) -> list[str]:
        """What is wrong with the backbone or ``max_length`` for these texts."""
        lines = [self.language_warning()] if self.language_warning() else []
        if self.cut >= CUT_SHARE and not self.in_windows:
            lines.append(
                f"{self.cut:.1%} of the rows are longer than model.max_length = {self.max_length} "
                f"tokens and are cut (98 % of the rows have up to {self.quantiles['98']:,}); raise "
                f'it, or set model.truncation = "head_tail" or "windows"'
            )
        return lines

    def language_warning(self) -> str:
        """What shows that the backbone was not made for the language; empty where nothing does."""
        if self.unknown >= UNKNOWN_SHARE:
            symptom = f"does not know {self.unknown:.1%} of the tokens of the texts"
        elif self.is_multilingual:
            return ""
        elif (self.per_unspaced_character or 0.0) >= PIECES_PER_CHARACTER:
            symptom = f"needs {self.per_unspaced_character:.1f} tokens per character"
        elif self.per_unspaced_character is None and (self.per_word or 0.0) >= PIECES_PER_WORD:
            symptom = (
                f"breaks a word into {self.per_word:.1f} pieces on average "
                f"({self.per_character:.2f} tokens per character), which is much for its language"
            )
        else:
            return ""
        advice = "another backbone" if self.is_multilingual else "a multilingual one"
        return (
            f"model.backbone = {self.backbone!r} {symptom}; choose {advice}, such as {MULTILINGUAL}"
        )


def measure_tokens(
    texts: Sequence[Sequence[str]], tokenizer: Any, settings: Model, data: Data | None = None
) -> TokenStatistics:
    """Tokenize a sample of at most 2,000 rows.

    Args:
        texts: one sequence of strings per text column.
        tokenizer: the backbone's.
        settings: ``[model]``, with ``max_length``.
        data: ``[data]``, whose template is filled with the texts; None: there is no template.
    """
    indices = np.random.default_rng(0).permutation(len(texts[0]))[:SAMPLE_ROWS]
    sample = [[column[index] for index in np.sort(indices)] for column in texts]
    dataset = tokenize_dataset(sample, tokenizer, settings, None, data)
    lengths = dataset.whole_lengths()
    n_tokens = max(sum(len(column.ids) for column in dataset.columns), 1)
    counts, edges = np.histogram(lengths, N_BINS, (0, max(int(lengths.max()), 1)))
    unknown = tokenizer.unk_token_id
    n_unknown = sum(int((column.ids == unknown).sum()) for column in dataset.columns)
    together = " ".join(text for column in sample for text in column)
    return TokenStatistics(
        backbone=settings.backbone,
        rows=len(lengths),
        max_length=settings.max_length,
        mean=float(lengths.mean()),
        quantiles={
            str(percent): int(np.quantile(lengths, percent / 100)) for percent in (50, 95, 98, 100)
        },
        bin_edges=edges.tolist(),
        bin_counts=counts.tolist(),
        cut=float((lengths > settings.max_length).mean()),
        in_windows=settings.truncation == "windows",
        unknown=0.0 if unknown is None else n_unknown / n_tokens,
        per_character=n_tokens / max(sum(len(text) for column in sample for text in column), 1),
        per_word=_pieces_per_word(together, tokenizer),
        per_unspaced_character=_tokens_per_unspaced_character(together, tokenizer),
        is_multilingual=_share_beyond_latin(tokenizer) >= MULTILINGUAL_SHARE,
    )


def _pieces_per_word(text: str, tokenizer: Any) -> float | None:
    words = WORD.findall(text)
    return _count_tokens(" ".join(words), tokenizer) / len(words) if words else None


def _tokens_per_unspaced_character(text: str, tokenizer: Any) -> float | None:
    characters = WITHOUT_SPACES.findall(text)
    if 3 * len(characters) <= sum(len(word) for word in WORD.findall(text)):
        return None
    return _count_tokens("".join(characters), tokenizer) / len(characters)


def _count_tokens(text: str, tokenizer: Any) -> int:
    return len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def _share_beyond_latin(tokenizer: Any) -> float:
    """The share of the vocabulary with letters that are not Latin ones, from a sample of it."""
    ids = np.linspace(0, len(tokenizer) - 1, min(VOCABULARY_SAMPLE, len(tokenizer)), dtype=int)
    tokens = [tokenizer.decode([int(token_id)]) for token_id in ids]
    return float(np.mean([any(map(_is_beyond_latin, token)) for token in tokens]))


def _is_beyond_latin(character: str) -> bool:
    return character.isalpha() and "LATIN" not in unicodedata.name(character, "")
