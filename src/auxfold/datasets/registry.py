"""The public data sets that can be downloaded: where they are and what their files must contain.

A competition on Kaggle requires an account that has accepted its rules. The Hugging Face Hub
requires no account. Its repositories are pinned to commits, so that the rows and their order never
change:

- ``google/civil_comments`` is the publisher's repository. It has the comments of the 2019
  competition, without ids.
- ``google-research-datasets/go_emotions``, "simplified", is the publisher's repository, with the
  splits of the paper.
- ``mteb/stsbenchmark-sts`` is a copy of STS-B with the test labels and the original scores from 0
  to 5, at the commit that the MTEB benchmark pins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from auxfold.datasets.sample import SUBTYPES, TRAIN_COLUMNS
from auxfold.errors import InputError, nearest


@dataclass(frozen=True)
class DatasetFile:
    """One file to write and what it must contain.

    Attributes:
        name: the file's name in the folder of the data set.
        remote: the file's name on Kaggle, or a pattern for its shards in a Hub repository.
        rows: the exact number of rows.
        columns: required columns; a file from the Hub gets exactly these, in this order.
    """

    name: str
    remote: str
    rows: int
    columns: tuple[str, ...]


@dataclass(frozen=True)
class DatasetSpec:
    """A folder of files.

    Attributes:
        folder: the name of the folder.
        files: the files in it.
        config: the experiment file that reads them; None where there is none.
    """

    folder: str
    files: tuple[DatasetFile, ...]
    config: str | None


@dataclass(frozen=True)
class KaggleDataset(DatasetSpec):
    """The files of a Kaggle competition. ``folder`` is the competition's handle."""


@dataclass(frozen=True)
class HubDataset(DatasetSpec):
    """A data set repository of the Hugging Face Hub at one commit.

    Attributes:
        repository: ``owner/name``.
        revision: the commit.
        prepare: turns rows of the repository into rows with the columns of the file; rows without
            ``id`` are numbered afterwards.
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
# Demszky et al. 2020: ekman_mapping.json and sentiment_mapping.json. Neutral is a group as well.
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


def prepare_emotions(frame: pd.DataFrame) -> pd.DataFrame:
    """``id``, ``text`` and 0/1 columns: the emotions, Ekman's emotions, and the sentiment groups.

    Args:
        frame: ``id``, ``text`` and ``labels``, the list of emotion numbers of each row.
    """
    one_hot = np.zeros((len(frame), len(EMOTIONS)), dtype=np.int8)
    indices = np.repeat(np.arange(len(frame)), frame["labels"].map(len))
    one_hot[indices, np.concatenate(frame["labels"].tolist())] = 1
    emotions = pd.DataFrame(one_hot, columns=list(EMOTIONS), index=frame.index)
    groups = {
        name: emotions[members.split()].max(axis=1) for name, members in EMOTION_GROUPS.items()
    }
    return pd.concat([frame[["id", "text"]], emotions, pd.DataFrame(groups)], axis=1)


def prepare_sentence_pairs(frame: pd.DataFrame) -> pd.DataFrame:
    """Sentence pairs, unchanged, after a check of their scores.

    Raises:
        InputError: the scores are not on the original scale from 0 to 5.
    """
    low, high = frame["score"].min(), frame["score"].max()
    if low < 0 or not 1 < high <= 5:
        raise InputError(f"STS-B scores go from {low:g} to {high:g}, expected 0 to 5")
    return frame


def prepare_comments(frame: pd.DataFrame) -> pd.DataFrame:
    """Comments, unchanged."""
    return frame


_TOXIC_COLUMNS = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
_LABEL_COLUMNS_2019 = ("id", "toxicity", *SUBTYPES)
_COMMENT_COLUMNS = ("id", "text", "toxicity", "severe_toxicity", "obscene", "threat", "insult",
          "identity_attack", "sexual_explicit")  # fmt: skip
_EMOTION_COLUMNS = ("id", "text", *EMOTIONS, *EMOTION_GROUPS)
_PAIR_COLUMNS = ("id", "sentence1", "sentence2", "score")

DATASETS: dict[str, DatasetSpec] = {
    "jigsaw-2019": KaggleDataset(
        folder="jigsaw-unintended-bias-in-toxicity-classification",
        files=(
            DatasetFile("train.csv", "train.csv", 1_804_874, TRAIN_COLUMNS),
            DatasetFile("test.csv", "test.csv", 97_320, ("id", "comment_text")),
            DatasetFile(
                "sample_submission.csv", "sample_submission.csv", 97_320, ("id", "prediction")
            ),
            # The labels of both halves of the test set, released after the competition.
            DatasetFile(
                "test_public_expanded.csv", "test_public_expanded.csv", 97_320, _LABEL_COLUMNS_2019
            ),
            DatasetFile(
                "test_private_expanded.csv",
                "test_private_expanded.csv",
                97_320,
                _LABEL_COLUMNS_2019,
            ),
        ),
        config="configs/jigsaw_2019.toml",
    ),
    "jigsaw-2018": KaggleDataset(
        folder="jigsaw-toxic-comment-classification-challenge",
        files=(  # zipped one by one
            DatasetFile(
                "train.csv", "train.csv.zip", 159_571, ("id", "comment_text", *_TOXIC_COLUMNS)
            ),
            DatasetFile("test.csv", "test.csv.zip", 153_164, ("id", "comment_text")),
            DatasetFile(
                "sample_submission.csv",
                "sample_submission.csv.zip",
                153_164,
                ("id", *_TOXIC_COLUMNS),
            ),
            DatasetFile("test_labels.csv", "test_labels.csv.zip", 153_164, ("id", *_TOXIC_COLUMNS)),
        ),
        config="configs/jigsaw_2018.toml",
    ),
    "civil_comments": HubDataset(
        folder="civil_comments",
        files=(
            DatasetFile("train.parquet", "data/train-*.parquet", 1_804_874, _COMMENT_COLUMNS),
            DatasetFile(
                "validation.parquet", "data/validation-*.parquet", 97_320, _COMMENT_COLUMNS
            ),
            DatasetFile("test.parquet", "data/test-*.parquet", 97_320, _COMMENT_COLUMNS),
        ),
        config=None,
        repository="google/civil_comments",
        revision="f2970eb3a55777454c94069077cc8d9b5866312d",
        prepare=prepare_comments,
    ),
    "goemotions": HubDataset(
        folder="goemotions",
        files=(
            DatasetFile("train.parquet", "simplified/train-*.parquet", 43_410, _EMOTION_COLUMNS),
            DatasetFile("dev.parquet", "simplified/validation-*.parquet", 5_426, _EMOTION_COLUMNS),
            DatasetFile("test.parquet", "simplified/test-*.parquet", 5_427, _EMOTION_COLUMNS),
        ),
        config="configs/goemotions.toml",
        repository="google-research-datasets/go_emotions",
        revision="add492243ff905527e67aeb8b80c082af02207c3",
        prepare=prepare_emotions,
    ),
    "stsb": HubDataset(
        folder="stsb",
        files=(
            DatasetFile("train.csv", "train.jsonl.gz", 5_749, _PAIR_COLUMNS),
            DatasetFile("dev.csv", "validation.jsonl.gz", 1_500, _PAIR_COLUMNS),
            DatasetFile("test.csv", "test.jsonl.gz", 1_379, _PAIR_COLUMNS),
        ),
        config="configs/stsb.toml",
        repository="mteb/stsbenchmark-sts",
        revision="b0fddb56ed78048fa8b90373c8a3cfc37b684831",
        prepare=prepare_sentence_pairs,
    ),
}


def get_dataset(name: str) -> DatasetSpec:
    """A data set by its name.

    Raises:
        InputError: no data set has that name.
    """
    if name not in DATASETS:
        raise InputError(
            f"no data set {name!r}{nearest(name, DATASETS)}; known are {', '.join(DATASETS)}"
        )
    return DATASETS[name]
