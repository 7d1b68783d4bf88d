"""A language model goes through a fold as an encoder does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoConfig, AutoModel

import auxfold
from auxfold.config.experiment import Experiment
from auxfold.training.fold import train_fold
from auxfold.training.split import create_folds
from conftest import TINY_CONFIG, make_experiment, make_frame, make_tokenizer


def make_language_model(folder: Path, has_padding: bool) -> str:
    """A tiny random Llama, whose tokenizer adds no special tokens."""
    torch.manual_seed(0)
    config = AutoConfig.for_model("llama", **TINY_CONFIG, num_key_value_heads=1)
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer = make_tokenizer()
    tokenizer.eos_token = "[SEP]"
    tokenizer.backend_tokenizer.post_processor = None
    if not has_padding:
        tokenizer.pad_token = None
    tokenizer.save_pretrained(folder)
    return str(folder)


def make_decoder_experiment(folder: str, name: str, **changes) -> Experiment:
    train = {"epochs": 4, "batch_size": 8, "learning_rate": 3e-3, "precision": "fp32"}
    return make_experiment("train.csv", folder, name=name, train=train, **changes)


def test_no_result_depends_on_the_token_that_pads(work_dir):
    """The end of the text pads where there is no token for it; an empty text is that token."""
    texts = ["", "goose", *make_frame(12, 5)["text"]]
    predictions = {}
    for has_padding in (True, False):
        name = f"padding_{has_padding}".lower()
        experiment = make_decoder_experiment(
            make_language_model(work_dir / name, has_padding), name
        )
        create_folds(experiment)
        folder = train_fold(experiment, 0)
        tokenizer = json.loads((folder.path / "tokenizer_config.json").read_text())
        assert tokenizer["pad_token"] == ("[PAD]" if has_padding else "[SEP]")
        predictions[has_padding] = auxfold.load(str(folder.path)).predict(texts)["toxic"]
    np.testing.assert_allclose(predictions[True], predictions[False], atol=1e-6)
    one_by_one = auxfold.load("outputs/padding_false/fold_0")
    alone = pd.concat([one_by_one.predict([text])["toxic"] for text in texts])
    np.testing.assert_allclose(alone, predictions[False], atol=1e-5)


def test_it_learns_from_words_at_the_start(work_dir):
    """Only the last token sees them all, and it is the one that is pooled."""
    frame = make_frame(200)
    frame["text"] = [("goose " if n % 2 else "bread ") + "the a garden" for n in range(200)]
    frame["toxic"] = [n % 2 for n in range(200)]
    frame.to_csv("train.csv", index=False)
    folder = make_language_model(work_dir / "lm", has_padding=False)
    experiment = make_decoder_experiment(
        folder, "learns", folds={"n_splits": 2, "group_duplicates": False}
    )
    create_folds(experiment)
    scores = json.loads(train_fold(experiment, 0).metrics.read_text())
    assert scores["main/auc"] == pytest.approx(1.0)
