"""The public data sets that can be downloaded: where they are and what their files must hold.

Kaggle's competitions want an account that accepted their rules. The Hugging Face hub wants none;
its repositories are pinned to commits, so that the rows and their order stay what they are:

- ``google/civil_comments``: the publisher's own; the comments of the 2019 competition, no ids;
- ``google-research-datasets/go_emotions``, "simplified": the publisher's own, the paper's splits;
- ``mteb/stsbenchmark-sts``: of the copies of STS-B that have the test labels one that keeps the
  original scores, 0 to 5, at the commit that the MTEB benchmark pins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from auxfold.datasets.sample import SUBTYPES, TRAIN_COLUMNS
from auxfold.errors import InputError, nearest


@dataclass(frozen=True)
class File:
    """One file to write and what it must hold.

    Attributes:
        name: below the source's folder.
        remote: Kaggle's name of it, or a pattern for its shards in a hub repository.
        rows: exactly so many.
        columns: at least these; from the hub exactly these, in this order.
    """

    name: str
    remote: str
    rows: int
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """A folder of files; ``config`` is the experiment file that reads them, where there is one."""

    folder: str
    files: tuple[File, ...]
    config: str | None


@dataclass(frozen=True)
class KaggleSource(Source):
    """A competition; ``folder`` is its handle."""


@dataclass(frozen=True)
class HubSource(Source):
    """A data set repository of the Hugging Face hub at one commit.

    ``prepare`` gives the rows the columns of the file; rows without ``id`` are numbered.
    """

    repository: str
    revision: str
    prepare: Callable[[pd.DataFrame], pd.DataFrame]


EMOTIONS = (
    "admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion",
    "curiosity", "desire", "disappointment", "disapproval", "disgust", "embarrassment",
    "excitement", "fear", "gratitude", "grief", "joy", "love", "nervousness", "optimism", "pride",
    "realization", "relief", "remorse", "sadness", "surprise", "neutral",
)  # fmt: skip
_POSITIVE = (
    "admiration amusement approval caring desire excitement gratitude joy love optimism pride "
    "relief"
)
# Demszky et al. 2020: ekman_mapping.json and sentiment_mapping.json, with neutral as its own.
EMOTION_GROUPS = {
    "ekman_anger": "anger annoyance disapproval",
    "ekman_disgust": "disgust",
    "ekman_fear": "fear nervousness",
    "ekman_joy": _POSITIVE,
    "ekman_neutral": "neutral",
    "ekman_sadness": "disappointment embarrassment grief remorse sadness",
    "ekman_surprise": "confusion curiosity realization surprise",
    "group_ambiguous": "confusion curiosity realization surprise",
    "group_negative": "anger annoyance disappointment disapproval disgust embarrassment fear grief "
    "nervousness remorse sadness",
    "group_neutral": "neutral",
    "group_positive": _POSITIVE,
}


def emotion_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """``id, text, labels`` (numbers of emotions) as 0/1 columns: emotions, Ekman's, groups."""
    hot = np.zeros((len(frame), len(EMOTIONS)), dtype=np.int8)
    rows = np.repeat(np.arange(len(frame)), frame["labels"].map(len))
    hot[rows, np.concatenate(frame["labels"].tolist())] = 1
    emotions = pd.DataFrame(hot, columns=list(EMOTIONS), index=frame.index)
    groups = {
        name: emotions[members.split()].max(axis=1) for name, members in EMOTION_GROUPS.items()
    }
    return pd.concat([frame[["id", "text"]], emotions, pd.DataFrame(groups)], axis=1)


def pair_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Sentence pairs as they are.

    Raises:
        InputError: the scores are not on the original scale from 0 to 5.
    """
    low, high = frame["score"].min(), frame["score"].max()
    if low < 0 or not 1 < high <= 5:
        raise InputError(f"STS-B scores go from {low:g} to {high:g}, expected 0 to 5")
    return frame


def comment_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Comments as they are."""
    return frame


_TOXIC = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
_LABELS_2019 = ("id", "toxicity", *SUBTYPES)
_CIVIL = ("id", "text", "toxicity", "severe_toxicity", "obscene", "threat", "insult",
          "identity_attack", "sexual_explicit")  # fmt: skip
_EMOTION_COLUMNS = ("id", "text", *EMOTIONS, *EMOTION_GROUPS)
_PAIR = ("id", "sentence1", "sentence2", "score")

SOURCES: dict[str, Source] = {
    "jigsaw-2019": KaggleSource(
        folder="jigsaw-unintended-bias-in-toxicity-classification",
        files=(
            File("train.csv", "train.csv", 1_804_874, TRAIN_COLUMNS),
            File("test.csv", "test.csv", 97_320, ("id", "comment_text")),
            File("sample_submission.csv", "sample_submission.csv", 97_320, ("id", "prediction")),
            # The labels of both halves of the test, released after the competition.
            File("test_public_expanded.csv", "test_public_expanded.csv", 97_320, _LABELS_2019),
            File("test_private_expanded.csv", "test_private_expanded.csv", 97_320, _LABELS_2019),
        ),
        config="configs/jigsaw_2019.toml",
    ),
    "jigsaw-2018": KaggleSource(
        folder="jigsaw-toxic-comment-classification-challenge",
        files=(  # zipped one by one
            File("train.csv", "train.csv.zip", 159_571, ("id", "comment_text", *_TOXIC)),
            File("test.csv", "test.csv.zip", 153_164, ("id", "comment_text")),
            File("sample_submission.csv", "sample_submission.csv.zip", 153_164, ("id", *_TOXIC)),
            File("test_labels.csv", "test_labels.csv.zip", 153_164, ("id", *_TOXIC)),
        ),
        config="configs/jigsaw_2018.toml",
    ),
    "civil_comments": HubSource(
        folder="civil_comments",
        files=(
            File("train.parquet", "data/train-*.parquet", 1_804_874, _CIVIL),
            File("validation.parquet", "data/validation-*.parquet", 97_320, _CIVIL),
            File("test.parquet", "data/test-*.parquet", 97_320, _CIVIL),
        ),
        config=None,
        repository="google/civil_comments",
        revision="f2970eb3a55777454c94069077cc8d9b5866312d",
        prepare=comment_rows,
    ),
    "goemotions": HubSource(
        folder="goemotions",
        files=(
            File("train.parquet", "simplified/train-*.parquet", 43_410, _EMOTION_COLUMNS),
            File("dev.parquet", "simplified/validation-*.parquet", 5_426, _EMOTION_COLUMNS),
            File("test.parquet", "simplified/test-*.parquet", 5_427, _EMOTION_COLUMNS),
        ),
        config="configs/goemotions.toml",
        repository="google-research-datasets/go_emotions",
        revision="add492243ff905527e67aeb8b80c082af02207c3",
        prepare=emotion_rows,
    ),
    "stsb": HubSource(
        folder="stsb",
        files=(
            File("train.csv", "train.jsonl.gz", 5_749, _PAIR),
            File("dev.csv", "validation.jsonl.gz", 1_500, _PAIR),
            File("test.csv", "test.jsonl.gz", 1_379, _PAIR),
        ),
        config="configs/stsb.toml",
        repository="mteb/stsbenchmark-sts",
        revision="b0fddb56ed78048fa8b90373c8a3cfc37b684831",
        prepare=pair_rows,
    ),
}


def source_named(name: str) -> Source:
    """A source by its name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in SOURCES:
        raise InputError(
            f"no data set {name!r}{nearest(name, SOURCES)}; known are {', '.join(SOURCES)}"
        )
    return SOURCES[name]
