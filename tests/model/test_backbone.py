"""Backbones and tokenizers in the wild: kinds of files, number formats, remote code."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import AutoConfig, AutoModel, RobertaTokenizerFast

from auxfold.config import Model
from auxfold.data.dataset import SpecialTokenTemplate, TokenizedDataset
from auxfold.data.token_store import tokenize_column
from auxfold.errors import InputError
from auxfold.model.backbone import build_model, runs_padding_free
from auxfold.model.tokenizer import load_tokenizer
from conftest import ARCHITECTURES, WORDS, make_backbone, make_experiment

TEXTS = ["the garden is good", "bread!", "Silly   goose, nonsense soup " * 5]
OTHERS = ["a council", "rain and rain", "no"]


def sentencepiece_only(folder: Path) -> str:
    """The files of microsoft/deberta-v3-base: ``spm.model`` and no ``tokenizer.json``."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(WORDS)] * 20), model_writer=model,
        vocab_size=60, hard_vocab_limit=False, minloglevel=2,
        pad_id=0, bos_id=1, eos_id=2, unk_id=3,
        pad_piece="[PAD]", bos_piece="[CLS]", eos_piece="[SEP]", unk_piece="[UNK]",
    )  # fmt: skip
    (folder / "spm.model").write_bytes(model.getvalue())
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false, "vocab_type": "spm"}')
    AutoConfig.for_model("deberta-v2").save_pretrained(folder)
    return str(folder)


def byte_level(folder: Path) -> str:
    """The files of roberta-base: two separators between the texts of a pair, no token types."""
    trained = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator(TEXTS + OTHERS, vocab_size=300, special_tokens=special)
    trained.save_model(str(folder))
    merges = (folder / "merges.txt").read_text().splitlines()[1:]
    pairs = [tuple(line.split(" ")) for line in merges]
    vocabulary = json.loads((folder / "vocab.json").read_text())
    RobertaTokenizerFast(vocab=vocabulary, merges=pairs).save_pretrained(folder)
    AutoConfig.for_model("roberta").save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("texts", [1, 2])
@pytest.mark.parametrize("make", [sentencepiece_only, byte_level, make_backbone])
def test_rows_are_what_the_tokenizer_itself_would_make(tmp_path, make, texts):
    tokenizer = load_tokenizer(Model(backbone=make(tmp_path)))
    columns = [TEXTS, OTHERS][:texts]
    stored = [tokenize_column(column, tokenizer, tmp_path / "tokens") for column in columns]
    dataset = TokenizedDataset(
        stored, SpecialTokenTemplate.from_tokenizer(tokenizer, texts), max_length=512
    )
    batch = dataset.batch(np.arange(len(TEXTS)))
    expected = tokenizer(*columns, padding=True, return_tensors="pt")
    assert batch.keys() == expected.keys()
    for name, values in expected.items():
        torch.testing.assert_close(batch[name], values)


def test_half_precision_checkpoints_are_trained_in_fp32(tmp_path):
    folder = make_backbone(tmp_path)
    AutoModel.from_pretrained(folder, dtype=torch.float16).save_pretrained(folder)
    model = build_model(make_experiment("t", folder), {"main": 1})
    assert {p.dtype for p in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("architecture", [a for a in ARCHITECTURES if a != "modernbert"])
def test_dropout_is_set_in_every_layer(tmp_path, architecture):
    folder = make_backbone(tmp_path, architecture)
    settings = {"hidden_dropout": 0.375, "attention_dropout": 0.375, "head_dropout": 0.375}
    model = build_model(make_experiment("t", folder, model=settings), {"main": 1})
    rates = {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)}
    assert rates == {0.375}


def test_remote_code_of_a_backbone_runs_only_if_the_experiment_trusts_it(tmp_path):
    ran = tmp_path / "ran"
    folder = tmp_path / "backbone"
    make_backbone(folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.MyConfig"}}
    (folder / "config.json").write_text(json.dumps(config))
    lines = ["from pathlib import Path", "from transformers import PreTrainedConfig",
             f"Path({str(ran)!r}).touch()", "class MyConfig(PreTrainedConfig):",
             "    model_type = 'mine'", ""]  # fmt: skip
    (folder / "mine.py").write_text("\n".join(lines))
    for trusted in (False, True):
        settings = {"trust_remote_code": trusted}
        experiment = make_experiment("t", str(folder), model=settings)
        message = "of the model type 'mine', which" if trusted else "cannot be loaded"
        with pytest.raises(InputError, match=message):
            build_model(experiment, {"main": 1})
        assert ran.exists() == trusted


def test_a_backbone_that_is_not_there_is_one_clear_error(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="nobody/nothing.*cannot be loaded"):
        build_model(make_experiment("t", "nobody/nothing"), {"main": 1})


def test_where_the_backbone_runs_without_padding(tmp_path, backbone):
    for setting, device, expected in (
        ("auto", "cpu", False), ("auto", "cuda", True), ("on", "cpu", True), ("off", "cuda", False),
    ):  # fmt: skip
        experiment = make_experiment("t", backbone, model={"padding_free": setting})
        model = build_model(experiment, {"main": 1})
        assert runs_padding_free(model, experiment.model, device) is expected
    other = make_backbone(tmp_path, "albert")
    experiment = make_experiment("t", other, model={"backbone": other, "padding_free": "on"})
    model = build_model(experiment, {"main": 1})
    with pytest.raises(InputError, match="padding_free = 'on': there is no .* for albert with"):
        runs_padding_free(model, experiment.model, "cuda")
    experiment = make_experiment("t", other, model={"backbone": other})
    assert not runs_padding_free(model, experiment.model, "cuda")
